//! Commands drawn at random: about half as an operator means them, the others with something wrong about them.

use super::{
    known,
    rng::Rng,
    vocabulary::{COMMANDS, OPTIONS, Row, Takes, fitting, row},
    words::{Item, Line},
};

/// How often something is drawn anew because it meets a known difference or lacks what is wanted.
const TRIES: usize = 400;
/// Share of commands with something wrong, in percent.
const WRONG: usize = 40;
/// Share of odd values in commands that are meant well, in percent.
const ODD: usize = 3;

/// What a command must have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Wanted {
    /// A command or option.
    pub(super) name: &'static str,
    /// Whether it should be accepted.
    pub(super) accepted: bool,
}

/// Words that are no command and no option of the manual, abbreviations among them.
const JUNK: &[&str] = &[
    "foo",
    "",
    "-",
    "--",
    "-q",
    "-?",
    "--nosuch",
    "--numeric=5",
    "--sched",
    "--tcp",
    "-list",
    "--list=",
    "--ipv6=6",
    "10.0.0.1:80",
    "80",
    "master",
    "-w",
    "#",
    "---",
    "-nq",
    "--=",
    "=",
    "ipvsadm",
];

/// Draws commands; what is in the table makes some of them likelier.
pub(super) struct Generator {
    rng: Rng,
}

impl Generator {
    /// The commands of a seed.
    pub(super) fn new(seed: u64) -> Self {
        Self { rng: Rng::new(seed) }
    }

    /// Draws one; `table` are the lines of the saved table.
    pub(super) fn draw(&mut self, table: &[String], wanted: Option<Wanted>) -> Line {
        for _ in 0..TRIES {
            let line = self.one(table, wanted);
            let fits = wanted.is_none_or(|wanted| line.items.iter().any(|it| it.name() == Some(wanted.name)));
            if fits && known::applying(&line).is_none() {
                return line;
            }
        }
        Line::spell(vec![Item::Option("list", None)], Vec::new(), &mut self.rng)
    }

    fn one(&mut self, table: &[String], wanted: Option<Wanted>) -> Line {
        let command = match wanted {
            Some(wanted) => self.command_with(wanted.name),
            None => self.command(),
        };
        let mut items = self.items(command, table);
        let wrong = wanted.map_or_else(|| self.rng.percent(WRONG), |it| !it.accepted);
        if wrong {
            self.spoil(&mut items);
        }
        let input = if command == "restore" { self.rules(table) } else { Vec::new() };
        Line::spell(items, input, &mut self.rng)
    }

    /// The command of that name, or one that an option of that name goes with.
    fn command_with(&mut self, name: &str) -> &'static str {
        let goes = |command: &&Row| command.long == name || fitting(command.long).contains(&name);
        let commands: Vec<&str> = COMMANDS.iter().filter(goes).map(|row| row.long).collect();
        if commands.is_empty() { self.command() } else { self.rng.pick(&commands) }
    }

    fn command(&mut self) -> &'static str {
        const SHARES: &[(&str, usize)] = &[
            ("add-service", 22),
            ("edit-service", 9),
            ("delete-service", 4),
            ("add-server", 20),
            ("edit-server", 9),
            ("delete-server", 4),
            ("list", 14),
            ("zero", 3),
            ("set", 3),
            ("start-daemon", 4),
            ("stop-daemon", 3),
            ("save", 2),
            ("restore", 6),
            ("clear", 1),
            ("help", 1),
        ];
        let mut left = self.rng.below(SHARES.iter().map(|(_, share)| share).sum());
        for (name, share) in SHARES {
            if left < *share {
                return name;
            }
            left -= share;
        }
        "list"
    }

    /// A command that is meant well: the command first, its options in any order.
    fn items(&mut self, command: &'static str, table: &[String]) -> Vec<Item> {
        let mut options = Vec::new();
        match command {
            "add-service" => {
                options = if self.rng.percent(10) { self.old_service(table) } else { self.new_service() };
                self.service_traits(&mut options);
            }
            "edit-service" => {
                options = self.old_service(table);
                self.service_traits(&mut options);
            }
            "delete-service" => options = self.old_service(table),
            "zero" if self.rng.percent(60) => options = self.old_service(table),
            "add-server" => {
                options = self.old_service(table);
                self.server(&mut options);
                self.server_traits(&mut options);
            }
            "edit-server" | "delete-server" => {
                options = self.old_server(table);
                if command == "edit-server" {
                    self.server_traits(&mut options);
                }
            }
            "list" => options = self.listing(table),
            "set" => {
                for _ in 0..3 {
                    let seconds = self.rng.pick(&["0", "1", "60", "900", "2678400", "+5", "010"]);
                    options.push(Item::Plain(seconds.to_owned()));
                }
            }
            "save" | "start-daemon" | "stop-daemon" => {
                for name in fitting(command) {
                    if self.rng.percent(35) {
                        let option = self.option(name);
                        options.push(option);
                    }
                }
            }
            _ => {}
        }
        self.rng.shuffle(&mut options);
        if self.rng.percent(2) {
            options.push(Item::Option("sort", None));
        }
        options.insert(0, self.option(command));
        options
    }

    /// An option with a value that is usually accepted.
    fn option(&mut self, name: &'static str) -> Item {
        let row = row(name);
        let values = if self.rng.percent(ODD) && !row.odd.is_empty() { row.odd } else { row.good };
        let has = match row.takes {
            Takes::Nothing => false,
            Takes::Value => true,
            Takes::Perhaps => self.rng.percent(70),
        };
        Item::Option(name, has.then(|| self.rng.pick(values).to_owned()))
    }

    fn new_service(&mut self) -> Vec<Item> {
        let name = self.rng.pick(&[
            "tcp-service",
            "tcp-service",
            "tcp-service",
            "udp-service",
            "udp-service",
            "sctp-service",
            "fwmark-service",
            "fwmark-service",
        ]);
        let mut options = vec![self.option(name)];
        if name == "fwmark-service" && self.rng.percent(35) {
            options.push(Item::Option("ipv6", None));
        }
        options
    }

    /// A service of the table, mostly.
    fn old_service(&mut self, table: &[String]) -> Vec<Item> {
        let lines: Vec<&String> = table.iter().filter(|line| line.starts_with("-A ")).collect();
        if lines.is_empty() || self.rng.percent(12) {
            return self.new_service();
        }
        let line: &String = self.rng.pick(&lines);
        service_of(line)
    }

    /// A real server of the table, mostly, and its service.
    fn old_server(&mut self, table: &[String]) -> Vec<Item> {
        let lines: Vec<&String> = table.iter().filter(|line| line.starts_with("-a ")).collect();
        if lines.is_empty() || self.rng.percent(15) {
            let mut options = self.old_service(table);
            self.server(&mut options);
            return options;
        }
        let line = self.rng.pick(&lines);
        let mut options = service_of(line);
        options.extend(after(line, "-r").map(|server| Item::Option("real-server", Some(server))));
        options
    }

    fn server(&mut self, options: &mut Vec<Item>) {
        let server = self.option("real-server");
        options.push(server);
    }

    fn service_traits(&mut self, options: &mut Vec<Item>) {
        let six = is_ipv6(options);
        let wants_ops = !options.iter().any(|it| matches!(it.name(), Some("tcp-service" | "sctp-service")));
        let scheduler = self.rng.percent(75).then(|| self.option("scheduler"));
        if self.rng.percent(15) {
            let name = scheduler.as_ref().and_then(|it| it.value_of("scheduler")).unwrap_or("wlc");
            let flags = match name {
                "sh" => self.rng.pick(&["sh-port", "sh-fallback", "sh-port,sh-fallback", "flag-1", "flag-2"]),
                "mh" => self.rng.pick(&["mh-port", "mh-fallback", "mh-fallback,mh-port", "flag-2,flag-1"]),
                _ => self.rng.pick(&[
                    "flag-1",
                    "flag-2",
                    "flag-3",
                    "flag-3,flag-1",
                    "flag-1,flag-2,flag-3",
                    "sh-port",
                ]),
            };
            options.push(Item::Option("sched-flags", Some(flags.to_owned())));
        }
        options.extend(scheduler);
        if self.rng.percent(40) {
            let persistent = self.option("persistent");
            options.push(persistent);
            if self.rng.percent(40) {
                let mask = if six {
                    Item::Option("netmask", Some(self.rng.pick(&["64", "1", "128", "48"]).to_owned()))
                } else {
                    self.option("netmask")
                };
                options.push(mask);
            }
            if self.rng.percent(25) {
                let engine = self.option("pe");
                options.push(engine);
            }
        }
        if self.rng.percent(if wants_ops { 20 } else { 2 }) {
            options.push(Item::Option("ops", None));
        }
    }

    fn server_traits(&mut self, options: &mut Vec<Item>) {
        match self.rng.below(4) {
            0 => options.push(Item::Option("gatewaying", None)),
            1 => options.push(Item::Option("masquerading", None)),
            2 => {
                options.push(Item::Option("ipip", None));
                self.tunnel(options);
            }
            _ => {}
        }
        for (name, share) in [("weight", 60), ("u-threshold", 20), ("l-threshold", 10)] {
            if self.rng.percent(share) {
                let option = self.option(name);
                options.push(option);
            }
        }
    }

    fn tunnel(&mut self, options: &mut Vec<Item>) {
        let kind = self.rng.pick(&["", "ipip", "gue", "gre"]);
        if !kind.is_empty() {
            options.push(Item::Option("tun-type", Some(kind.to_owned())));
        }
        if kind == "gue" {
            let port = self.option("tun-port");
            options.push(port);
        }
        let sums: &[&'static str] = match kind {
            "gue" => &["tun-nocsum", "tun-csum", "tun-remcsum"],
            "gre" => &["tun-nocsum", "tun-csum"],
            _ => return,
        };
        if self.rng.percent(60) {
            options.push(Item::Option(self.rng.pick(sums), None));
        }
    }

    fn listing(&mut self, table: &[String]) -> Vec<Item> {
        let mut options = if self.rng.percent(20) { self.old_service(table) } else { Vec::new() };
        let kinds: &[&'static str] = &["stats", "rate", "thresholds", "persistent-conn", "tun-info"];
        let others: &[&'static str] = &["connection", "timeout", "daemon"];
        match self.rng.below(4) {
            0 | 1 => options.push(Item::Option(self.rng.pick(kinds), None)),
            2 if options.is_empty() => options.push(Item::Option(self.rng.pick(others), None)),
            _ => {}
        }
        for (name, share) in [("numeric", 60), ("exact", 20), ("sort", 10), ("syncid", 5)] {
            if self.rng.percent(share) {
                let option = self.option(name);
                options.push(option);
            }
        }
        options
    }

    /// Makes something wrong with a command, as often as not unnoticed by the tools.
    fn spoil(&mut self, items: &mut Vec<Item>) {
        let at = self.rng.below(items.len());
        match self.rng.below(9) {
            0 => items.push(items[at].clone()),
            1 => drop(items.remove(at)),
            2 | 3 => {
                let name = self.rng.pick(OPTIONS).long;
                let option = self.option(name);
                items.insert(self.rng.below(items.len()) + 1, option);
            }
            4 | 5 => self.spoil_value(items),
            6 => {
                if let Item::Option(name, value) = &mut items[at] {
                    // A value that is missing, or one too many.
                    *value = match row(name).takes {
                        Takes::Value => None,
                        _ => Some("5".to_owned()),
                    };
                }
            }
            7 => {
                let junk = self.rng.pick(JUNK).to_owned();
                items.insert(self.rng.below(items.len() + 1), Item::Plain(junk));
            }
            _ => {
                let name = self.rng.pick(COMMANDS).long;
                let command = self.option(name);
                items.insert(self.rng.below(items.len() + 1), command);
            }
        }
    }

    /// Gives an option another value than it should have.
    fn spoil_value(&mut self, items: &mut [Item]) {
        let with: Vec<usize> = (0..items.len())
            .filter(|at| items[*at].name().is_some_and(|name| !row(name).odd.is_empty()))
            .collect();
        if with.is_empty() {
            return;
        }
        let at = self.rng.pick(&with);
        if let Item::Option(name, value) = &mut items[at] {
            *value = Some(self.rng.pick(row(name).odd).to_owned());
        }
    }

    /// Rules to restore: some lines, now and then with a wrong one among them.
    fn rules(&mut self, table: &[String]) -> Vec<u8> {
        const ODD_LINES: &[&str] = &[
            "",
            "   ",
            "foo",
            "-q",
            "-A",
            "-A -t",
            "-A --nosuch",
            "-L -n",
            "-S -n",
            "-R",
            "ipvsadm",
            "--",
            "-",
            "-n",
            "-A -t 10.0.0.1:80 extra",
            "-D -t 10.0.0.99:1",
            "-L -t 10.0.0.99:1",
            "\t-Z\t",
        ];
        let mut text = String::new();
        for _ in 0..1 + self.rng.below(7) {
            let line =
                if self.rng.percent(12) { self.rng.pick(ODD_LINES).to_owned() } else { self.rule(table) };
            if self.rng.percent(15) {
                text.push_str("ipvsadm ");
            }
            text.push_str(&line);
            text.push_str(if self.rng.percent(5) { "\r\n" } else { "\n" });
        }
        if self.rng.percent(10) {
            text.pop();
        }
        text.into_bytes()
    }

    /// One rule; only such whose words survive on a line.
    fn rule(&mut self, table: &[String]) -> String {
        for _ in 0..TRIES {
            let command = self.command();
            if matches!(command, "restore" | "help") {
                continue;
            }
            let mut items = self.items(command, table);
            if self.rng.percent(6) {
                self.spoil(&mut items);
            }
            let line = Line::spell(items, Vec::new(), &mut self.rng);
            let survives =
                |word: &String| !word.is_empty() && !word.contains(char::is_whitespace) && word != "ipvsadm";
            let helps = line.items.iter().any(|it| it.name() == Some("help"));
            let comments = line.words.iter().any(|word| word.starts_with('#'));
            if known::applying(&line).is_none() && line.words.iter().all(survives) && !helps && !comments {
                return line.words.join(" ");
            }
        }
        "-Z".to_owned()
    }
}

/// The service options of a saved line.
fn service_of(line: &str) -> Vec<Item> {
    const OPTIONS: [(&str, &str); 4] = [
        ("-t", "tcp-service"),
        ("-u", "udp-service"),
        ("--sctp-service", "sctp-service"),
        ("-f", "fwmark-service"),
    ];
    let service =
        OPTIONS.iter().find_map(|(option, name)| Some(Item::Option(name, Some(after(line, option)?))));
    let six = line.split(' ').any(|word| word == "-6").then_some(Item::Option("ipv6", None));
    service.into_iter().chain(six).collect()
}

/// The word after another one.
fn after(line: &str, option: &str) -> Option<String> {
    let mut words = line.split(' ');
    words.find(|word| *word == option)?;
    words.next().map(str::to_owned)
}

fn is_ipv6(options: &[Item]) -> bool {
    options.iter().any(|it| match it {
        Item::Option("ipv6", _) => true,
        Item::Option("tcp-service" | "udp-service" | "sctp-service", Some(value)) => value.starts_with('['),
        _ => false,
    })
}
