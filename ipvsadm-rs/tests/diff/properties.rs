//! What holds for any two tables.

use std::collections::HashSet;

use ipvsadm::fake::FakeKernel;
use ipvsadm::{DestinationId, Ipvs, Planner, Removal, Request, ServiceId, Table};
use proptest::prelude::*;

use crate::tables::{any_table, content};

fn kernel(table: &Table) -> FakeKernel {
    let kernel = FakeKernel::new();
    kernel.set_table(table.clone());
    kernel
}

/// Carries out requests, all of which have to be accepted.
fn carry_out(kernel: &FakeKernel, requests: &[Request]) {
    let mut ipvs = Ipvs::with_transport(kernel.connect()).unwrap();
    for outcome in ipvs.apply(requests).unwrap() {
        outcome.unwrap();
    }
}

fn serves(table: &Table, id: &ServiceId) -> bool {
    table.find(id).is_some_and(|entry| entry.destinations.iter().any(|row| row.destination.weight > 0))
}

fn subject(request: &Request) -> (ServiceId, Option<DestinationId>) {
    match request {
        Request::AddService(it) | Request::EditService(it) => (it.id, None),
        Request::DeleteService(id) => (*id, None),
        Request::AddDestination(id, to) | Request::EditDestination(id, to) => (*id, Some(to.id)),
        Request::DeleteDestination(id, to) => (*id, Some(*to)),
        other => panic!("{other} is about no service"),
    }
}

proptest! {
    #[test]
    fn a_difference_that_is_carried_out_makes_the_table_as_wanted(before in any_table(), wanted in any_table()) {
        let kernel = kernel(&before);
        let mut ipvs = Ipvs::with_transport(kernel.connect()).unwrap();
        let actual = ipvs.table().unwrap();
        prop_assert_eq!(&actual, &before);
        let requests = actual.diff(&wanted);
        for outcome in ipvs.apply(&requests).unwrap() {
            prop_assert_eq!(outcome, Ok(()));
        }
        let after = ipvs.table().unwrap();
        prop_assert_eq!(content(&after), content(&wanted));
        prop_assert_eq!(after.diff(&wanted), []);
    }

    #[test]
    fn a_table_does_not_differ_from_itself(table in any_table()) {
        prop_assert_eq!(table.diff(&table), []);
    }

    #[test]
    fn every_service_that_serves_before_and_after_serves_after_each_request(before in any_table(), wanted in any_table()) {
        let kernel = kernel(&before);
        let lasting = |entry: &&ipvsadm::ServiceEntry| {
            let id = entry.service.id;
            serves(&before, &id) && serves(&wanted, &id)
        };
        let lasting: Vec<ServiceId> = before.services.iter().filter(lasting).map(|entry| entry.service.id).collect();
        for request in before.diff(&wanted) {
            carry_out(&kernel, std::slice::from_ref(&request));
            let table = kernel.table();
            for id in &lasting {
                prop_assert!(serves(&table, id), "{} serves nobody after {}", id, request);
            }
        }
    }

    #[test]
    fn no_request_can_be_left_out_and_none_is_about_the_same_thing_as_another(before in any_table(), wanted in any_table()) {
        let requests = before.diff(&wanted);
        let subjects: HashSet<_> = requests.iter().map(subject).collect();
        prop_assert_eq!(subjects.len(), requests.len());
        for index in 0..requests.len() {
            let mut rest = requests.clone();
            rest.remove(index);
            let mut table = before.clone();
            // What needed the missing one is refused, which helps as little.
            table.apply(&rest);
            prop_assert_ne!(content(&table), content(&wanted), "without {}", requests[index]);
        }
    }

    #[test]
    fn a_difference_that_was_cut_off_is_completed_by_another(
        before in any_table(),
        wanted in any_table(),
        cut in any::<prop::sample::Index>(),
    ) {
        let requests = before.diff(&wanted);
        let (done, left) = requests.split_at(cut.index(requests.len() + 1));
        let kernel = kernel(&before);
        carry_out(&kernel, done);
        let rest = kernel.table().diff(&wanted);
        prop_assert_eq!(rest.len(), left.len());
        carry_out(&kernel, &rest);
        prop_assert_eq!(content(&kernel.table()), content(&wanted));
    }

    #[test]
    fn the_bookkeeping_of_a_table_is_that_of_the_kernel(before in any_table(), wanted in any_table(), twice: bool) {
        let kernel = kernel(&before);
        let mut ipvs = Ipvs::with_transport(kernel.connect()).unwrap();
        let mut requests = before.diff(&wanted);
        if twice {
            // Now most are refused: what is to be added is there, what is to be removed is not.
            requests.extend(requests.clone());
        }
        let mut table = before;
        prop_assert_eq!(table.apply(&requests), ipvs.apply(&requests).unwrap());
        prop_assert_eq!(content(&table), content(&kernel.table()));
    }

    #[test]
    fn quiescing_first_ends_with_the_same_table_in_few_rounds(before in any_table(), wanted in any_table()) {
        let planner = Planner::new().removal(Removal::QuiesceFirst);
        let mut table = before.clone();
        for _ in 0..2 {
            for outcome in table.apply(&planner.plan(&table.clone(), wanted.rows())) {
                prop_assert_eq!(outcome, Ok(()));
            }
        }
        prop_assert_eq!(content(&table), content(&wanted));
    }

    #[test]
    fn a_part_of_the_table_can_be_made_as_wanted_and_the_rest_stays(before in any_table(), wanted in any_table()) {
        let ours = |id: &ServiceId| id.family() == ipvsadm::Family::V6;
        let theirs = |_: &ServiceId, id: &DestinationId| id.port == 8080;
        let planner = Planner::new().remove_only(&ours).leave_alone(&theirs);
        let mut table = before.clone();
        table.apply(&planner.plan(&before, wanted.rows()));
        let by_others = |table: &Table| -> Vec<(ServiceId, DestinationId)> {
            let mut rows: Vec<_> = table
                .rows()
                .flat_map(|(service, rows)| rows.map(|row| (service.id, row.id)).collect::<Vec<_>>())
                .filter(|(service, row)| wanted.find(service).is_some() && theirs(service, row))
                .collect();
            rows.sort();
            rows
        };
        prop_assert_eq!(by_others(&table), by_others(&before));
        for (service, ..) in content(&before) {
            let stays = wanted.find(&service).is_some() || !ours(&service);
            prop_assert_eq!(table.find(&service).is_some(), stays, "{}", service);
            if wanted.find(&service).is_none() && stays {
                prop_assert_eq!(table.find(&service), before.find(&service));
            }
        }
        prop_assert_eq!(planner.plan(&table, wanted.rows()), []);
    }
}
