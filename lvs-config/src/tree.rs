//! Tokens to entries and blocks.
//!
//! The tree knows the shape of the file (`name = values`, `keyword name { … }`) and which keywords open a block, nothing
//! about directives. It recovers at the end of a line and at the next header of a block, so that one mistake is told
//! once. It holds ranges of the text only; with the text it is the whole file, comments and indentation included.

use crate::diagnostic::{Code, Problem, Report, shown};
use crate::include::INCLUDE;
use crate::source::Part;
use crate::span::Span;
use crate::token::{self, Kind, Oddities, Token, is_blank, lines, tokenize};

/// A text and its structure.
pub(crate) struct Tree<'t> {
    /// The text.
    pub(crate) text: &'t str,
    /// What stands outside all blocks.
    pub(crate) nodes: Vec<Node>,
}

/// An element of a file or block.
#[derive(Debug)]
pub(crate) enum Node {
    /// `name = values`.
    Entry(Entry),
    /// `keyword name { … }`. Boxed: entries are many and small.
    Block(Box<Block>),
}

// There is one for each line of a file, and a block for each real server.
const _: () = assert!(size_of::<Node>() <= 16 && size_of::<Block>() <= 56);

/// `name = values`.
#[derive(Debug)]
pub(crate) struct Entry {
    /// The directive.
    pub(crate) name: Token,
    /// Whether `=` follows.
    pub(crate) has_equals: bool,
    /// Whether a problem on its line has been reported already.
    pub(crate) is_broken: bool,
    /// From the start of its name to the end of its last value. The tokens of values are cut again when they are asked
    /// for: kept for the whole of a large file they are most of what reading it costs.
    length: u16,
}

impl Entry {
    /// Its values in `text`, which is that of its tree.
    pub(crate) fn values<'t>(&self, text: &'t str) -> impl Iterator<Item = Token> + use<'t> {
        let name = self.name.span();
        let start = self.equals(text).unwrap_or(name).end;
        let end = name.start + u32::from(self.length);
        token::values(text, self.name.text(text), Span { start, end, ..name }, self.has_equals)
    }

    /// Its `=`.
    fn equals(&self, text: &str) -> Option<Span> {
        if self.has_equals { mark_after(text, self.name.span(), b'=') } else { None }
    }
}

/// The `mark` that stands behind `span`, with nothing but blanks between.
fn mark_after(text: &str, span: Span, mark: u8) -> Option<Span> {
    let rest = text.as_bytes().get(span.end as usize..)?;
    let blanks = rest.iter().take_while(|byte| is_blank(**byte)).count();
    let start = span.end + u32::try_from(blanks).ok()?;
    (rest.get(blanks) == Some(&mark)).then_some(Span { start, end: start + 1, line: span.line })
}

fn is_value(kind: Kind) -> bool {
    matches!(kind, Kind::Word | Kind::Quoted)
}

/// `keyword name { … }`.
#[derive(Debug)]
pub(crate) struct Block {
    /// Which keyword.
    pub(crate) kind: BlockKind,
    /// The keyword.
    pub(crate) keyword: Span,
    /// The name, when it is there.
    pub(crate) name: Option<Token>,
    /// What stands in it.
    pub(crate) nodes: Box<[Node]>,
    /// The closing brace, when it is there.
    pub(crate) close: Option<Token>,
}

/// The blocks among `nodes`.
pub(crate) fn blocks(nodes: &[Node]) -> impl DoubleEndedIterator<Item = &Block> {
    nodes.iter().filter_map(|node| match node {
        Node::Block(block) => Some(&**block),
        Node::Entry(_) => None,
    })
}

/// The blocks there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum BlockKind {
    /// `virtual`.
    Virtual,
    /// `failover`.
    Failover,
    /// `server`, only in the others.
    Server,
}

impl BlockKind {
    /// Its keyword.
    pub(crate) fn keyword(self) -> &'static str {
        match self {
            Self::Virtual => "virtual",
            Self::Failover => "failover",
            Self::Server => "server",
        }
    }

    fn of(keyword: &str) -> Option<Self> {
        [Self::Virtual, Self::Failover, Self::Server].into_iter().find(|k| k.keyword() == keyword)
    }
}

impl Tree<'_> {
    /// The `=` of `entry`.
    pub(crate) fn equals(&self, entry: &Entry) -> Option<Span> {
        entry.equals(self.text)
    }

    /// The `{` of `block`, when it stands behind its name.
    pub(crate) fn brace(&self, block: &Block) -> Option<Span> {
        mark_after(self.text, block.name.map_or(block.keyword, Token::span), b'{')
    }
}

/// Reads the structure of `text`, by itself.
pub(crate) fn read<'t>(text: &'t str, oddities: Oddities, report: &mut Report) -> Tree<'t> {
    let whole = Part { range: 0..text.len(), oddities };
    let (nodes, _) = read_part(text, &whole, None, report);
    Tree { text, nodes }
}

/// Reads the structure of a part of `text`, which stands in a block of the kind `within`. Says also whether it includes
/// something.
pub(crate) fn read_part(
    text: &str,
    part: &Part,
    within: Option<BlockKind>,
    report: &mut Report,
) -> (Vec<Node>, bool) {
    let mut builder = Builder {
        text,
        within,
        tokens: Vec::new(),
        nodes: Vec::new(),
        open: Vec::new(),
        has_includes: false,
        report,
    };
    for line in lines(text, part.range.clone()) {
        builder.tokens.clear();
        let fault = tokenize(text, &line, part.oddities, &mut builder.tokens).err();
        let is_broken = fault.is_some();
        if let Some(problem) = fault {
            builder.report.add(problem);
        }
        builder.line(is_broken);
    }
    builder.end_of_file();
    (builder.nodes, builder.has_includes)
}

struct Builder<'b> {
    text: &'b str,
    within: Option<BlockKind>,
    /// Those of the line.
    tokens: Vec<Token>,
    /// What stands outside of all blocks, and behind it what stands in each that is open.
    nodes: Vec<Node>,
    /// The blocks that have not ended yet, outermost first.
    open: Vec<Open>,
    has_includes: bool,
    report: &'b mut Report,
}

/// A block that has not ended yet.
struct Open {
    kind: BlockKind,
    keyword: Span,
    name: Option<Token>,
    /// Where what stands in it begins in [`Builder::nodes`].
    first: usize,
    /// Whether its `{` has been seen.
    has_brace: bool,
}

impl Builder<'_> {
    /// Takes the statements of one line.
    fn line(&mut self, is_broken: bool) {
        let mut at = 0;
        while let Some(&token) = self.tokens.get(at) {
            at = match token.kind {
                Kind::Close => self.closing_brace(at),
                Kind::Open => self.opening_brace(at),
                Kind::Equals => {
                    let message = "the name of a directive is missing before `=`";
                    self.fault_unless(is_broken, Problem::error(Code::Structure, token.span(), message));
                    self.tokens.len()
                }
                Kind::Word | Kind::Quoted => self.statement(at, is_broken),
            };
        }
    }

    fn fault_unless(&mut self, is_broken: bool, problem: Problem) {
        if !is_broken {
            self.report.add(problem);
        }
    }

    fn statement(&mut self, at: usize, is_broken: bool) -> usize {
        let token = self.tokens[at];
        let followed_by_equals = self.tokens.get(at + 1).is_some_and(|t| t.kind == Kind::Equals);
        match BlockKind::of(token.text(self.text)) {
            Some(kind) if !followed_by_equals => self.header(kind, at, is_broken),
            Some(kind) => {
                let keyword = kind.keyword();
                let problem =
                    Problem::error(Code::Structure, token.span(), format!("`{keyword}` begins a block"))
                        .help(format!("write `{keyword} NAME {{`"));
                self.fault_unless(is_broken, problem);
                self.tokens.len()
            }
            None => self.entry(at, is_broken),
        }
    }

    fn entry(&mut self, at: usize, is_broken: bool) -> usize {
        let has_equals = self.tokens.get(at + 1).is_some_and(|t| t.kind == Kind::Equals);
        let first = if has_equals { at + 2 } else { at + 1 };
        let count = self.tokens[first..].iter().take_while(|token| is_value(token.kind)).count();
        let mut end = first + count;
        // Without `=` the rest of the line has no meaning, except that it may close the block.
        if !has_equals && self.tokens.get(end).is_some_and(|t| t.kind != Kind::Close) {
            end = self.tokens.len();
        }
        self.has_includes |= self.tokens[at].text(self.text) == INCLUDE;
        let name = self.tokens[at];
        let length = self.tokens[first + count - 1].span().end - name.span().start;
        // As long as a line at most.
        let length = u16::try_from(length).unwrap_or(u16::MAX);
        self.nodes.push(Node::Entry(Entry { name, has_equals, is_broken, length }));
        end
    }

    /// `keyword name {` at `at`. The block is opened even when something is missing, so that its lines find a home.
    fn header(&mut self, kind: BlockKind, at: usize, is_broken: bool) -> usize {
        let keyword = self.tokens[at].span();
        self.make_room_for(kind, keyword, is_broken);
        let name = self.tokens.get(at + 1).copied().filter(|token| is_value(token.kind));
        let mut next = if name.is_some() { at + 2 } else { at + 1 };
        let is_open = self.tokens.get(next).is_some_and(|t| t.kind == Kind::Open);
        if is_broken {
            next = self.tokens.len();
        } else if is_open {
            next += 1;
            if name.is_none() {
                let message = format!("the `{}` block has no name", kind.keyword());
                let problem = Problem::error(Code::Structure, keyword, message);
                self.report.add(problem.help(format!("write `{} NAME {{`", kind.keyword())));
            }
        } else {
            let (span, message) = match self.tokens.get(next) {
                Some(odd) => {
                    let found = shown(odd.span().of(self.text));
                    (odd.span(), format!("`{found}` stands where the block's `{{` should be"))
                }
                None => (keyword, format!("`{{` is missing after `{}`", self.header_text(at, next))),
            };
            let help =
                format!("write `{} NAME {{` on one line; a name with blanks needs quotes", kind.keyword());
            self.report.add(Problem::error(Code::Structure, span, message).help(help));
            next = self.tokens.len();
        }
        let has_brace = is_open || is_broken;
        self.open.push(Open { kind, keyword, name, first: self.nodes.len(), has_brace });
        next
    }

    fn header_text(&self, from: usize, to: usize) -> String {
        shown(self.tokens[from].span().to(self.tokens[to - 1].span()).of(self.text))
    }

    /// Closes what must have ended before a block of `kind` can begin here.
    fn make_room_for(&mut self, kind: BlockKind, keyword: Span, is_broken: bool) {
        match self.within {
            Some(within) if kind != BlockKind::Server => {
                let message = format!("`{}` inside of a `{}` block", kind.keyword(), within.keyword());
                let problem = Problem::error(Code::Structure, keyword, message);
                self.fault_unless(is_broken, problem.help("this file is included inside of the block"));
            }
            None if kind == BlockKind::Server && self.open.is_empty() => {
                self.reopen_for_server(keyword, is_broken);
            }
            _ => {}
        }
        if !self.has_no_room_for(kind) {
            return;
        }
        // The innermost open block is the one that is told; the braces of the outer ones are missing with it.
        if let Some(innermost) = self.open.last() {
            let message = format!("`}}` is missing before this `{}`", kind.keyword());
            let problem = Problem::error(Code::Structure, keyword, message)
                .note(innermost.keyword, format!("{} begins", self.describe(innermost.kind, innermost.name)));
            self.report.add(problem);
        }
        while self.has_no_room_for(kind) {
            self.close(None);
        }
    }

    fn has_no_room_for(&self, kind: BlockKind) -> bool {
        self.open.last().is_some_and(|open| kind != BlockKind::Server || open.kind == BlockKind::Server)
    }

    /// A `server` outside a block: most likely a `}` too many closed the block before it. That block goes on.
    fn reopen_for_server(&mut self, keyword: Span, is_broken: bool) {
        let problem = Problem::error(Code::Structure, keyword, "`server` outside of a `virtual` block");
        let Some(Node::Block(block)) = self.nodes.last() else {
            self.fault_unless(is_broken, problem);
            return;
        };
        let Block { kind, keyword, name, close, .. } = **block;
        let problem = match close {
            Some(close) => problem.note(close.span(), format!("{} ends", self.describe(kind, name))),
            None => problem,
        };
        self.fault_unless(is_broken, problem);
        if kind != BlockKind::Server
            && let Some(Node::Block(block)) = self.nodes.pop()
        {
            self.open.push(Open { kind, keyword, name, first: self.nodes.len(), has_brace: true });
            self.nodes.extend(block.nodes);
        }
    }

    fn describe(&self, kind: BlockKind, name: Option<Token>) -> String {
        match name {
            Some(name) => format!("`{} {}`", kind.keyword(), shown(name.text(self.text))),
            None => format!("the `{}` block", kind.keyword()),
        }
    }

    fn opening_brace(&mut self, at: usize) -> usize {
        // The `{` of a header that stands on the next line has been told as missing there.
        match self.open.last_mut() {
            Some(block) if !block.has_brace => block.has_brace = true,
            _ => {
                let problem = Problem::error(Code::Structure, self.tokens[at].span(), "`{` without a block");
                self.report.add(
                    problem
                        .help("a block begins with `virtual NAME {`, `server NAME {` or `failover NAME {`"),
                );
            }
        }
        at + 1
    }

    /// A `}`, and what the original ignored after it: only another brace or block may follow.
    fn closing_brace(&mut self, at: usize) -> usize {
        let brace = self.tokens[at];
        if self.open.is_empty() {
            self.report.add(Problem::error(Code::Structure, brace.span(), "`}` without a block to close"));
        } else {
            self.close(Some(brace));
        }
        let Some(next) = self.tokens.get(at + 1) else { return at + 1 };
        let is_header = next.kind == Kind::Word && BlockKind::of(next.span().of(self.text)).is_some();
        if next.kind == Kind::Close || is_header {
            return at + 1;
        }
        let rest = next.span().to(self.tokens[self.tokens.len() - 1].span());
        let message = format!("`{}` after `}}` is ignored", shown(rest.of(self.text)));
        self.report.add(Problem::warning(Code::NoEffect, rest, message).help("put it on a line of its own"));
        self.tokens.len()
    }

    fn close(&mut self, brace: Option<Token>) {
        if let Some(Open { kind, keyword, name, first, .. }) = self.open.pop() {
            // As many as there are, without room for more.
            let nodes = self.nodes.drain(first..).collect();
            self.nodes.push(Node::Block(Box::new(Block { kind, keyword, name, nodes, close: brace })));
        }
    }

    fn end_of_file(&mut self) {
        if let Some(innermost) = self.open.last() {
            let message = format!("{} is not closed", self.describe(innermost.kind, innermost.name));
            let problem = Problem::error(Code::Structure, innermost.keyword, message);
            self.report.add(problem.help("`}` is missing before the end of the file"));
        }
        while !self.open.is_empty() {
            self.close(None);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::source::Sources;

    fn outline(text: &str) -> (String, Vec<String>) {
        let mut report = Report::default();
        let document = read(text, Oddities::default(), &mut report);
        let mut out = String::new();
        write_nodes(&document, &document.nodes, &mut out);
        (
            out,
            report
                .finish(&Sources::new(text))
                .into_iter()
                .map(|d| format!("{}:{} {}", d.place.line, d.place.column, d.message))
                .collect(),
        )
    }

    fn write_nodes(document: &Tree<'_>, nodes: &[Node], out: &mut String) {
        for node in nodes {
            match node {
                Node::Entry(entry) => {
                    out.push_str(entry.name.text(document.text));
                    for value in entry.values(document.text) {
                        out.push(':');
                        out.push_str(value.text(document.text));
                    }
                    out.push(' ');
                }
                Node::Block(block) => {
                    let name = block.name.map_or("?", |n| n.text(document.text));
                    out.push_str(&format!("{} {name}[ ", block.kind.keyword()));
                    write_nodes(document, &block.nodes, out);
                    out.push_str("] ");
                }
            }
        }
    }

    #[test]
    fn blocks_nest_and_braces_may_share_a_line() {
        let (tree, problems) =
            outline("a=1\nvirtual v{\n b = 2\n server s { c = 3 } server t {\n d = 4 }\n}\ne = 5 6\n");
        assert_eq!(tree, "a:1 virtual v[ b:2 server s[ c:3 ] server t[ d:4 ] ] e:5:6 ");
        assert_eq!(problems, [""; 0]);
    }

    #[test]
    fn a_missing_brace_of_a_server_is_told_once() {
        let (tree, problems) = outline("virtual v {\n server s {\n a = 1\n server t {\n }\n}\nb = 2\n");
        assert_eq!(tree, "virtual v[ server s[ a:1 ] server t[ ] ] b:2 ");
        assert_eq!(problems, ["4:2 `}` is missing before this `server`"]);
    }

    #[test]
    fn a_missing_brace_of_a_virtual_is_told_once() {
        let (tree, problems) = outline("virtual v {\n server s {\n }\nvirtual w {\n}\n");
        assert_eq!(tree, "virtual v[ server s[ ] ] virtual w[ ] ");
        assert_eq!(problems, ["4:1 `}` is missing before this `virtual`"]);
    }

    #[test]
    fn a_brace_too_many_before_a_server_is_told_once() {
        let (tree, problems) = outline("virtual v {\n server s {\n }\n }\n server t {\n }\n}\n");
        assert_eq!(tree, "virtual v[ server s[ ] server t[ ] ] ");
        assert_eq!(problems, ["5:2 `server` outside of a `virtual` block"]);
    }

    #[test]
    fn the_end_of_the_file_inside_blocks_is_told_once() {
        let (tree, problems) = outline("virtual v {\n server s {\n a = 1");
        assert_eq!(tree, "virtual v[ server s[ a:1 ] ] ");
        assert_eq!(problems, ["2:2 `server s` is not closed"]);
    }

    #[test]
    fn a_brace_on_the_next_line_is_told_once() {
        let (tree, problems) = outline("virtual v\n{\n a = 1\n}\n");
        assert_eq!(tree, "virtual v[ a:1 ] ");
        assert_eq!(problems, ["1:1 `{` is missing after `virtual v`"]);
    }

    fn entries<'n>(nodes: &'n [Node], found: &mut Vec<&'n Entry>) {
        for node in nodes {
            match node {
                Node::Entry(entry) => found.push(entry),
                Node::Block(block) => entries(&block.nodes, found),
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn values_are_cut_again_as_they_were_on_their_line(text in "[av={}'\"# \t\n]{0,40}|(virtual|port|check) [a={} \"]{0,9}") {
            let tokens = token::all(&text, Oddities::default());
            let tree = read(&text, Oddities::default(), &mut Report::default());
            let mut found = Vec::new();
            entries(&tree.nodes, &mut found);
            for entry in found {
                let at = tokens.iter().position(|token| *token == entry.name).unwrap();
                let on_line = tokens[at + 1..].iter().take_while(|token| token.span().line == entry.name.span().line);
                let behind: Vec<Token> =
                    on_line.skip(usize::from(entry.has_equals)).take_while(|t| is_value(t.kind)).copied().collect();
                prop_assert_eq!(entry.values(&text).collect::<Vec<_>>(), behind);
            }
        }
    }

    #[test]
    fn between_the_tokens_there_are_only_blanks_line_ends_and_comments() {
        let text = "# head\r\na = \"x y\" z # tail\r\n\r\nvirtual v{ # open\n\tb=1 }\r# end";
        let mut report = Report::default();
        read(text, Oddities::default(), &mut report);
        let mut gaps = Vec::new();
        let mut at = 0;
        for token in token::all(text, Oddities::default()) {
            gaps.push(&text[at..token.span().start as usize]);
            at = token.span().end as usize;
        }
        gaps.push(&text[at..]);
        for line in gaps.iter().flat_map(|gap| gap.split(['\n', '\r'])) {
            assert!(matches!(line.trim_start().chars().next(), None | Some('#')), "{line:?}");
        }
        assert!(!report.has_errors());
    }
}
