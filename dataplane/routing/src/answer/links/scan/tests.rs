use crate::Scheme;
use crate::links::PublicPrefix;

use super::*;

fn mk_prefix() -> PublicPrefix<'static> {
    PublicPrefix::new("", Some("/p"), Scheme::Http, "b.example:81")
}

/// In pieces of every size, all of which must agree.
#[track_caller]
fn moved(mk: impl Fn() -> Scanner, text: &str) -> String {
    let prefix = mk_prefix();
    let mover = |link: &[u8]| prefix.edit(link);
    let mut results = Vec::new();
    for step in [1, 2, 3, 7, text.len().max(1)] {
        let (mut scanner, mut edits) = (mk(), Vec::new());
        for (index, piece) in text.as_bytes().chunks(step).enumerate() {
            let known = edits.len();
            let held = scanner.holds();
            scanner.write(piece, index * step, &mover, &mut edits);
            // What has been let go is not changed any more.
            let least = held.unwrap_or(index * step);
            assert!(edits[known..].iter().all(|(place, _)| place.start >= least));
        }
        let edited = crate::links::heads::splice(text.as_bytes(), edits.into_iter());
        let edited = edited.unwrap_or_else(|| text.as_bytes().to_vec());
        results.push(String::from_utf8(edited).unwrap());
    }
    assert!(results.windows(2).all(|pair| pair[0] == pair[1]), "{results:?}");
    results.remove(0)
}

fn style() -> Scanner {
    Scanner::Style(Style::default())
}

fn modules() -> Scanner {
    Scanner::Modules(Modules::default())
}

#[test]
fn links_of_style_sheets_are_found() {
    for (text, expected) in [
        ("a{b:url(/x)}", "a{b:url(/p/x)}"),
        ("a{b:URL( '/x' )}", "a{b:URL( '/p/x' )}"),
        ("a{b:url(\"/x\")}", "a{b:url(\"/p/x\")}"),
        ("a{b:url( /x )}", "a{b:url( /p/x )}"),
        ("a{b:url(http://b.example:81/x)}", "a{b:url(/p/x)}"),
        ("a{b:url(\\2f x)}", "a{b:url(/p\\2f x)}"),
        ("@import '/x';", "@import '/p/x';"),
        ("@IMPORT/**/\"/x\" screen;", "@IMPORT/**/\"/p/x\" screen;"),
        ("@import url(/x);", "@import url(/p/x);"),
        ("@import\"/x\"", "@import\"/p/x\""),
        (
            "a{b:image-set('/1' 1x type('/no'),url(/2) 2x)}c{d:'/no'}",
            "a{b:image-set('/p/1' 1x type('/no'),url(/p/2) 2x)}c{d:'/no'}",
        ),
        (
            "a{b:-webkit-image-set(\"/1\" 1x)}",
            "a{b:-webkit-image-set(\"/p/1\" 1x)}",
        ),
        (
            "@font-face{src:url(/f) format('/no')}",
            "@font-face{src:url(/p/f) format('/no')}",
        ),
        ("a{b:url(/x) c:url(/y)}", "a{b:url(/p/x) c:url(/p/y)}"),
        ("a{--b:url(/x)}", "a{--b:url(/p/x)}"),
    ] {
        assert_eq!(moved(style, text), expected);
    }
    for left in [
        "/* url(/x) @import '/x' */",
        "a{content:'url(/x)'}",
        "a{content:\"\\\"url(/x)\"}",
        "a{b:url(x) c:url() d:url('') e:url(//o.example/x)}",
        "a{b:url(data:image/svg+xml,/x)}",
        "a{b:myurl(/x) c:url-prefix(/x) d:2url(/x) e:url\\28(/x)}",
        "#url(/x)",
        "@url(/x)",
        "@namespace url(/x); @namespace '/x';",
        "@import foo '/x'",
        "a{b:url(/x\"y)}",
        "a{b:url('/x\n)}",
        "a{b:url(/x",
        "a{b:'/x'}",
        "@media '/x'",
        "a{b:u\\rl(/x)}",
        "",
    ] {
        assert_eq!(moved(style, left), left);
    }
}

#[test]
fn imports_of_modules_are_found() {
    for (text, expected) in [
        ("import '/x'", "import '/p/x'"),
        ("import\"/x\";", "import\"/p/x\";"),
        (
            "import a from '/x';import b from\"/y\"",
            "import a from '/p/x';import b from\"/p/y\"",
        ),
        (
            "import a, {b as c, 'd e' as f} from '/x'",
            "import a, {b as c, 'd e' as f} from '/p/x'",
        ),
        ("import * as a from '/x'", "import * as a from '/p/x'"),
        ("import{from}from'/x'", "import{from}from'/p/x'"),
        ("import from from '/x'", "import from from '/p/x'"),
        (
            "import a from '/x' with {type: 'json'}",
            "import a from '/p/x' with {type: 'json'}",
        ),
        ("export * from '/x'", "export * from '/p/x'"),
        ("export {a as b} from '/x'", "export {a as b} from '/p/x'"),
        ("export * as a from '/x'", "export * as a from '/p/x'"),
        ("const a = await import('/x')", "const a = await import('/p/x')"),
        (
            "import( /* webpack */ '/x' , {})",
            "import( /* webpack */ '/p/x' , {})",
        ),
        ("a = b / c; import '/x'", "a = b / c; import '/p/x'"),
        (
            "a = /['\"`/]\\//g; import '/x'",
            "a = /['\"`/]\\//g; import '/p/x'",
        ),
        (
            "a = `${`${b}` + {}} import '/no'`; import '/x'",
            "a = `${`${b}` + {}} import '/no'`; import '/p/x'",
        ),
        ("import 'http://b.example:81/x'", "import '/p/x'"),
        ("import '\\x2fx'", "import '/p\\x2fx'"),
        ("a();\n// '\nimport '/x'", "a();\n// '\nimport '/p/x'"),
        ("return /'/; import '/x'", "return /'/; import '/p/x'"),
    ] {
        assert_eq!(moved(modules, text), expected);
    }
    for left in [
        "a.import('/x')",
        "a.import '/x'",
        "import.meta.resolve('/x')",
        "({import: '/x'})",
        "fetch('/x')",
        "import('/x' + y)",
        "import('/x'.y)",
        "import(a + '/x')",
        "import(`/x`)",
        "// import '/x'",
        "/* import '/x' */",
        "`import '/x'`",
        "\"import '/x'\"",
        "/import '\\/x'/",
        "import a from 'x'; import b from './x'; import c from '../x'",
        "export const a = '/x'; export default '/x'",
        "export {a}; '/x'",
        "const from = '/x'",
        // It cannot be told what these are.
        "{}\n/'/; import '/x'",
        "i++ /'/; import '/x'",
        "a = 'b\n; import '/x'",
        "import '/x",
        "import",
        "",
    ] {
        assert_eq!(moved(modules, left), left);
    }
}

#[test]
fn links_of_import_maps_are_found() {
    let plain = || Scanner::ImportMap(ImportMap::default());
    for (text, expected) in [
        (
            r#"{"imports": {"/a": "/b", "c": "./d", "e/": "\/f/"}, "scopes": {"/g/": {"h": "http://b.example:81/i"}}}"#,
            r#"{"imports": {"/p/a": "/p/b", "c": "./d", "e/": "/p\/f/"}, "scopes": {"/p/g/": {"h": "/p/i"}}}"#,
        ),
        (
            r#"{"integrity": {"/a": "sha384-/b"}}"#,
            r#"{"integrity": {"/p/a": "sha384-/b"}}"#,
        ),
        (r#"{"imports": {"a": "b\"/c"}}"#, r#"{"imports": {"a": "b\"/c"}}"#),
        ("", ""),
        (r#"{"imports": {"a": "/b"#, r#"{"imports": {"a": "/b"#),
    ] {
        assert_eq!(moved(plain, text), expected);
    }
    let adding = || Scanner::ImportMap(ImportMap::with(Some(r#""/":"/p/""#.to_owned())));
    for (text, expected) in [
        (
            r#"{"imports": {"a": "b"}}"#,
            r#"{"imports": {"/":"/p/","a": "b"}}"#,
        ),
        (r#"{"imports": { }}"#, r#"{"imports": { "/":"/p/"}}"#),
        (r#"{}"#, r#"{"imports":{"/":"/p/"}}"#),
        (
            r#"{"scopes": {"imports": {"a": "b"}}}"#,
            r#"{"scopes": {"imports": {"a": "b"}},"imports":{"/":"/p/"}}"#,
        ),
    ] {
        assert_eq!(moved(adding, text), expected);
    }
}

#[test]
fn what_is_hostile_takes_no_more_than_its_length() {
    let prefix = mk_prefix();
    let mover = |link: &[u8]| prefix.edit(link);
    for (mk, text) in [
        (style as fn() -> Scanner, "url(".repeat(100_000)),
        (style, "/*".repeat(100_000)),
        (style, format!("a{{b:url({}", "x".repeat(1 << 20))),
        (style, "\\".repeat(100_000)),
        (modules, "`${".repeat(100_000)),
        (modules, "{".repeat(100_000)),
        (modules, format!("import('/x'{}", " ".repeat(1 << 20))),
        (modules, format!("import '{}", "x".repeat(1 << 20))),
        (modules, "import(".repeat(100_000)),
        (modules, "x".repeat(1 << 20)),
    ] {
        let (mut scanner, mut edits) = (mk(), Vec::new());
        for (index, piece) in text.as_bytes().chunks(4_096).enumerate() {
            scanner.write(piece, index * 4_096, &mover, &mut edits);
            let end = index * 4_096 + piece.len();
            let held = scanner.holds().map_or(0, |from| end - from);
            assert!(held <= 3 * LONGEST, "{held}");
        }
    }
}
