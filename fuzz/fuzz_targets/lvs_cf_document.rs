//! Any bytes as an `lvs.cf` that is edited. Whatever it is, it is written as it was read; an edit is refused and changes
//! nothing, or is made, can be read back, and made again changes nothing more.
#![no_main]

use std::slice;

use libfuzzer_sys::fuzz_target;
use lvs_config::{Document, Edit, Policy, Scope};

const DIRECTIVES: [&str; 8] =
    ["serial_no", "primary", "keepalive", "port", "active", "address", "weight", "send"];
const VALUES: [&str; 8] = ["1", "192.0.2.9 eth0:9", "", "a\"b", "it's", "#", "}", "x\ny"];

fuzz_target!(|input: &[u8]| {
    // Which edit, of which block, and with what; the file follows.
    let Some(([kind, place, what], bytes)) = input.split_first_chunk() else { return };
    let (kind, place, what) = (*kind, *place, *what);
    let mut document = Document::new("lvs.cf", bytes);
    assert_eq!(document.as_bytes(), bytes);

    let scopes = scopes(&document);
    let scope = scopes[usize::from(place) % scopes.len()].clone();
    let other = scopes[usize::from(what) % scopes.len()].clone();
    let directive = DIRECTIVES[usize::from(what) % DIRECTIVES.len()].to_owned();
    let value = VALUES[usize::from(what / 8) % VALUES.len()];
    let values: Vec<String> = value.split(' ').map(str::to_owned).collect();
    let edit = match kind % 8 {
        0 => Edit::Unset { scope, directive },
        1 => Edit::Add { block: scope.server(value), entries: vec![(directive, values)] },
        2 => Edit::Add { block: Scope::virtual_server(value), entries: vec![(directive, values)] },
        3 => Edit::Remove { block: scope },
        4 => Edit::Rename { block: scope, name: value.to_owned() },
        5 => Edit::Move { block: scope, before: Some(other) },
        6 => Edit::Move { block: scope, before: None },
        _ => Edit::Set { scope, directive, values },
    };
    if let Err(refused) = document.apply(slice::from_ref(&edit), Policy::AllowErrors) {
        assert_eq!(document.as_bytes(), bytes);
        assert!(!refused.diagnostics.is_empty());
        return;
    }
    let once = document.as_bytes().to_owned();
    match &edit {
        Edit::Set { scope, directive, values } => {
            assert_eq!(document.get(scope, directive).as_ref(), Ok(&Some(values.clone())));
        }
        Edit::Unset { scope, directive } => assert_eq!(document.get(scope, directive), Ok(None)),
        Edit::Add { block, .. } => {
            // What was added can be taken away again.
            assert!(document.apply(&[Edit::Remove { block: block.clone() }], Policy::AllowErrors).is_ok());
            return;
        }
        _ => return,
    }
    assert!(document.apply(&[edit], Policy::AllowErrors).is_ok());
    assert_eq!(document.as_bytes(), once);
});

/// All that can be addressed.
fn scopes(document: &Document) -> Vec<Scope> {
    let blocks = |scope: &Scope| document.blocks(scope).unwrap_or_default();
    let outer = blocks(&Scope::global());
    let inner: Vec<Scope> = outer.iter().flat_map(blocks).collect();
    [vec![Scope::global()], outer, inner].concat()
}
