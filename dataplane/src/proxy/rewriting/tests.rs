use genkan_routing::DirectiveSpec;
use genkan_routing::directives::BodyRule;
use genkan_routing::links::PublicPrefix;

use super::*;

fn mk_prefix() -> PublicPrefix<'static> {
    PublicPrefix::new(
        "",
        Some("/proxy/o'x"),
        genkan_routing::Scheme::Http,
        "b.example:81",
    )
}

fn mk_directives(rewrite_links: RewriteLinks) -> Directives {
    let spec = DirectiveSpec {
        rewrite_links,
        ..DirectiveSpec::default()
    };
    Directives::compile(&spec).unwrap()
}

fn mk_rewriter(coding: Coding, prefix: &PublicPrefix<'_>) -> LinkRewriter {
    let prefix = Arc::new(OwnPrefix::new(prefix, None));
    let page = Page::new(Markup::new(prefix, Dialect::Html));
    LinkRewriter::new(coding, None, Reader::Page(page))
}

fn rewrite(pieces: &[&[u8]]) -> String {
    let mut links = mk_rewriter(Coding::Identity, &mk_prefix());
    let mut out = Vec::new();
    for (index, piece) in pieces.iter().enumerate() {
        out.extend(links.write(piece, index + 1 == pieces.len()).unwrap().bytes);
    }
    String::from_utf8(out).unwrap()
}

const PAGE: &str = "<!doctype html><p>/x</p><A HREF = '/x?a=1&amp;b'>l</a><img src=/i.png alt=\"/no\">\
    <a href=\"http://b.example:81/y\" href=\"/twice\"><a href=\"http://o.example/\"><form action=\"/f\">\
    <a href=\"rel\"><a href><script>\"<a href='/no'>\"</script><!-- <a href='/no'> --><a href=\"/proxy/o'x/z\">";
const MOVED: &str = "<!doctype html><p>/x</p><A HREF = '/proxy/o&#39;x/x?a=1&amp;b'>l</a>\
    <img src=/proxy/o&#39;x/i.png alt=\"/no\"><a href=\"/proxy/o&#39;x/y\" href=\"/proxy/o&#39;x/twice\">\
    <a href=\"http://o.example/\"><form action=\"/proxy/o&#39;x/f\"><a href=\"rel\"><a href>\
    <script>\"<a href='/no'>\"</script><!-- <a href='/no'> --><a href=\"/proxy/o'x/z\">";

#[test]
fn links_move_and_nothing_else_changes() {
    assert_eq!(rewrite(&[PAGE.as_bytes()]), MOVED);
}

#[test]
fn pieces_may_end_anywhere() {
    for at in 0..PAGE.len() {
        let (one, two) = PAGE.as_bytes().split_at(at);
        assert_eq!(rewrite(&[one, two, b""]), MOVED, "split at {at}");
    }
    let single: Vec<_> = PAGE.as_bytes().chunks(1).collect();
    assert_eq!(rewrite(&single), MOVED);
}

fn pack(coding: Coding, plain: &[u8]) -> Vec<u8> {
    let mut encoder = Encoder::new(coding);
    encoder.write(plain).unwrap();
    encoder.take(true).unwrap()
}

fn unpack(packed: &[u8]) -> Vec<u8> {
    let mut decoder = Decoder::new(Coding::Gzip);
    let mut plain: Vec<u8> = packed
        .chunks(100)
        .flat_map(|piece| decoder.write(piece, false).unwrap())
        .collect();
    plain.extend(decoder.write(b"", true).unwrap());
    plain
}

#[test]
fn what_would_grow_without_end_passes_as_it_is() {
    let prefix = format!("/{}", "p".repeat(1_000));
    let moved = format!("<a href={prefix}/>");
    let prefix = PublicPrefix::new("", Some(&prefix), genkan_routing::Scheme::Http, "b.example:81");
    let links = "<a href=/>".repeat(1_000_000);
    let packed = pack(Coding::Gzip, links.as_bytes());
    assert!(packed.len() * 50 < links.len());
    for (coding, body) in [
        (Coding::Gzip, packed.as_slice()),
        (Coding::Identity, links.as_bytes()),
    ] {
        let mut rewriter = mk_rewriter(coding, &prefix);
        let written = rewriter.write(body, true).unwrap().bytes;
        let plain = if coding == Coding::Gzip {
            unpack(&written)
        } else {
            written
        };
        let plain = String::from_utf8(plain).unwrap();
        let many = plain.matches(&moved).count();
        assert!((8_000..12_000).contains(&many), "{many}");
        assert!(plain == moved.repeat(many) + &"<a href=/>".repeat(1_000_000 - many));
        assert_eq!(rewriter.take_left(), Some(Left::Growth));
    }
    // As much as one piece can hold without compression passes, however it grows.
    let plain = &links.as_bytes()[..65_530];
    let written = mk_rewriter(Coding::Identity, &prefix).write(plain, true).unwrap();
    assert_eq!(written.bytes.len(), 65_530 + 6_553 * 1_001);
}

#[test]
fn well_packed_pages_pass_in_one_piece() {
    for page in [
        (0..20_000)
            .map(|n| format!("<p>{n}<a href=/{n}></a>"))
            .collect::<String>(),
        format!(
            "<a href=/x>{}<a href=/y>",
            "<tr><td>INFO</td><td>ok</td></tr>\n".repeat(700_000)
        ),
    ] {
        let packed = pack(Coding::Gzip, page.as_bytes());
        let mut links = mk_rewriter(Coding::Gzip, &mk_prefix());
        let written = links.write(&packed, true).unwrap();
        assert_eq!(written.pause, None);
        let moved = page.replace("href=/", "href=/proxy/o&#39;x/");
        assert!(unpack(&written.bytes) == moved.as_bytes());
        assert_eq!(links.take_left(), None);
    }
}

#[tokio::test(start_paused = true)]
async fn bombs_wait_and_take_little_memory() {
    let mut links = mk_rewriter(Coding::Gzip, &mk_prefix());
    let packed = pack(Coding::Gzip, &vec![b' '; 128 << 20]);
    assert!(packed.len() < 2 << 20, "{}", packed.len());
    let mut pauses = Vec::new();
    for piece in packed.chunks(16 << 10) {
        let written = links.write(piece, false).unwrap();
        assert!(written.bytes.len() < 1 << 20);
        pauses.extend(written.pause);
    }
    assert!(
        !pauses.is_empty() && pauses.iter().all(|pause| *pause > Duration::ZERO),
        "{pauses:?}"
    );
}

#[test]
fn what_is_not_packed_as_it_says_passes_as_it_is() {
    for (coding, body) in [
        (Coding::Gzip, &b"<a href=/x>"[..]),
        (Coding::Deflate, b"<a href=/x>"),
        (Coding::Gzip, b"\x1f\x8b no such thing"),
    ] {
        for step in [1, body.len()] {
            let mut links = mk_rewriter(coding, &mk_prefix());
            let mut passed = Vec::new();
            for piece in body.chunks(step) {
                passed.extend(links.write(piece, false).unwrap().bytes);
            }
            passed.extend(links.write(b"", true).unwrap().bytes);
            assert_eq!(passed, body, "{coding:?} by {step}");
            assert_eq!(links.take_left(), Some(Left::Unpackable));
        }
    }
    // What breaks later has begun, and is not whole however it ends.
    let packed = pack(Coding::Gzip, "<a href=/x>".repeat(10_000).as_bytes());
    let mut links = mk_rewriter(Coding::Gzip, &mk_prefix());
    assert!(
        !links
            .write(&packed[..packed.len() / 2], false)
            .unwrap()
            .bytes
            .is_empty()
    );
    assert!(links.write(b"", true).is_err());
}

#[test]
fn only_readable_html_is_taken() {
    let mk = |kind: &str, coding: &str| {
        let mut response = ResponseHeader::build(200, None).unwrap();
        response.insert_header(CONTENT_TYPE, kind.to_owned()).unwrap();
        response
            .insert_header("content-encoding", coding.to_owned())
            .unwrap();
        let prefix = OwnPrefix::new(&mk_prefix(), None);
        let directives = mk_directives(RewriteLinks::Markup);
        LinkRewriter::for_response(&mut response, &directives, prefix, true).is_some()
    };
    assert!(
        mk("text/html", "identity") && mk("Text/HTML; charset=utf-8", "GZIP") && mk("text/html", "deflate")
    );
    assert!(!mk("text/plain", "identity") && !mk("text/html", "br") && !mk("text/html; charset=utf-16", ""));
}

/// The body that a client gets of one of this type, in pieces of every size.
#[track_caller]
fn passed(rewrite_links: RewriteLinks, kind: &str, body: &str) -> String {
    let mut results = Vec::new();
    for step in [1, 2, 3, 5, 64, body.len().max(1)] {
        let mut response = ResponseHeader::build(200, None).unwrap();
        response.insert_header(CONTENT_TYPE, kind.to_owned()).unwrap();
        let prefix = PublicPrefix::new("", Some("/p"), genkan_routing::Scheme::Http, "b.example:81");
        let prefix = OwnPrefix::new(&prefix, None);
        let directives = mk_directives(rewrite_links);
        let Some(mut links) = LinkRewriter::for_response(&mut response, &directives, prefix, false) else {
            return body.to_owned();
        };
        let mut out = Vec::new();
        for piece in body.as_bytes().chunks(step) {
            out.extend(links.write(piece, false).unwrap().bytes);
        }
        out.extend(links.write(b"", true).unwrap().bytes);
        results.push(String::from_utf8(out).unwrap());
    }
    assert!(results.windows(2).all(|pair| pair[0] == pair[1]), "{results:?}");
    results.remove(0)
}

/// `@` is where the prefix comes.
#[track_caller]
fn moves(kind: &str, marked: &str) {
    let seen = passed(RewriteLinks::Markup, kind, &marked.replace('@', ""));
    assert_eq!(seen, marked.replace('@', "/p"), "{kind}");
    // Once is enough.
    assert_eq!(passed(RewriteLinks::Markup, kind, &seen), seen, "{kind}");
}

#[test]
fn the_places_of_links() {
    for marked in [
        "<a href='@/x' ping=' @/1  @/2 '>",
        "<area href=@/x ping=@/y>",
        "<base href='@/'><a href='@/x'>",
        "<base href='https://cdn.example/'><a href='/x'>",
        "<link rel=preload as=image imagesrcset='@/1 1x, @/2 2x' href=@/x>",
        "<audio src=@/x></audio><video src=@/x poster=@/y><track src=@/z><source src=@/1></video>",
        "<embed src=@/x><frame src=@/x><iframe src=@/x></iframe><img src=@/x><input src=@/x type=image>",
        "<img srcset='@/1, @/2 2x,data:,/x 3x'><picture><source srcset=@/x></picture>",
        "<script src=@/x></script>",
        "<form action=@/x><button formaction=@/x><input formaction=@/y></form>",
        "<blockquote cite=@/x><del cite=@/x><ins cite=@/x><q cite=@/x>",
        "<body background=@/x><table background=@/x><td background=@/x>",
        "<object data=@/x codebase=@/y></object>",
        "<html manifest=@/x><head profile=@/x>",
        "<div itemscope itemid=@/x>",
        "<svg><a href=@/x><use xlink:href=@/y#z /><image href=@/z /><feImage href='@/1'/></a></svg>",
        "<p xlink:href=@/x>",
        "<meta http-equiv=Refresh content='5; url=@/x'><meta content=\"0;URL='@/y'\" http-equiv=refresh>",
        "<p style='background:url(@/x);c:url(&quot;@/y&quot;)'>",
        "<style>@import '@/x'; a{b:url(@/y)}</style>",
        "<STYLE TYPE='Text/CSS'>a{b:url( @/y )}</STYLE ><a href=@/z>",
        "<svg><style>a{b:url(@/y)}</style></svg>",
        "<script type=importmap>{\"imports\": {\"a\": \"@/b\", \"@/c/\": \"@/d/\"}}</script>",
        "<script type=module>import a from '@/x'; import('@/y')</script><a href=@/z>",
        "<iframe srcdoc='<a href=@/x>&lt;img src=&quot;@&#47;y&quot;&gt;&nbsp;<style>a{b:url(@/z)}</style>'>",
        // Entities, blanks and what browsers drop.
        "<a href='@&#47;x&amp;y'>",
        "<a href=' \n@/x\t'>",
        "<a href='@/&Tab;x'>",
        "<A HREF=\"@/x\">",
    ]
    .map(|marked| marked.replace("@import", "\u{1}import"))
    {
        let marked = marked.as_str();
        let body = marked.replace('@', "").replace('\u{1}', "@");
        let moved = marked.replace('@', "/p").replace('\u{1}', "@");
        let seen = passed(RewriteLinks::Markup, "text/html", &body);
        assert_eq!(seen, moved);
        assert_eq!(passed(RewriteLinks::Markup, "text/html", &seen), seen);
    }
    for (body, moved) in [
        ("<a href='http://b.example:81/x'>", "<a href='/p/x'>"),
        ("<a href='&#104;ttp&colon;//b.example/x'>", "<a href='/p/x'>"),
        ("<a href=//b.example:81>", "<a href=/p/>"),
    ] {
        assert_eq!(passed(RewriteLinks::Markup, "text/html", body), moved);
    }
    for kind in ["application/xhtml+xml", "image/svg+xml"] {
        for marked in [
            "<?xml version='1.0'?><html xmlns='http://www.w3.org/1999/xhtml'><head><script src='@/x'/><title/>\
             <link href='@/y'/><style><![CDATA[a{b:url(@/z)}]]></style></head><body><a href='@/1'>x</a></body></html>",
            "<svg xmlns='http://www.w3.org/2000/svg'><script href='@/x'/><use href='@/x'/><style>a{b:url(@/z)}</style>\
             <image xlink:href='@/x'/></svg>",
        ] {
            moves(kind, marked);
        }
    }
    moves("text/css; charset=utf-8", "a{b:url(@/x)}");
}

#[test]
fn the_places_of_no_links() {
    for left in [
        "<p>/x</p><a name=/x title='/x' data-href=/x><a href=x><a href=''><a href=#/x><a href='?/x'>",
        "<a href=//o.example/x><a href='http://b.example:82/x'><a href=mailto:/x><a href='/\\o.example'>",
        "<x-y src=/x><div href=/x></div><param value=/x><meta name=refresh content='0;url=/x'>",
        "<meta property=og:url content=/x><script>location = '/x'; import('/x')</script>",
        "<script type=application/json>{\"a\": \"/x\"}</script><script type=module src=x>import '/x'</script>",
        "<style type=text/less>a{b:url(/x)}</style><textarea><a href=/x></textarea><title><a href=/x></title>",
        "<!-- <a href=/x> --><![CDATA[<a href=/x>]]><noscript>x</noscript>",
        "<style>a{b:url(/x",
        "<a href='/x",
    ] {
        assert_eq!(passed(RewriteLinks::Markup, "text/html", left), left);
    }
    for (rewrite_links, kind) in [
        (RewriteLinks::Off, "text/html"),
        (RewriteLinks::Markup, "text/plain"),
        (RewriteLinks::Markup, "text/javascript"),
        (RewriteLinks::Full, "application/json"),
    ] {
        let body = "<a href=/x>";
        assert_eq!(passed(rewrite_links, kind, body), body);
    }
}

/// What a page becomes with a script, as a document.
fn documented(head: &[(&'static str, &str)], body: &str) -> (ResponseHeader, String) {
    let mut results = Vec::new();
    for step in [1, 7, body.len().max(1)] {
        let mut response = ResponseHeader::build(200, None).unwrap();
        response.insert_header(CONTENT_TYPE, "text/html").unwrap();
        for (name, value) in head {
            response.append_header(*name, (*value).to_owned()).unwrap();
        }
        let prefix = PublicPrefix::new("", Some("/p"), genkan_routing::Scheme::Http, "b.example:81");
        let prefix = OwnPrefix::new(&prefix, None);
        let directives = mk_directives(RewriteLinks::Full);
        let mut links = LinkRewriter::for_response(&mut response, &directives, prefix, true).unwrap();
        let mut out = Vec::new();
        for piece in body.as_bytes().chunks(step) {
            out.extend(links.write(piece, false).unwrap().bytes);
        }
        out.extend(links.write(b"", true).unwrap().bytes);
        results.push((response, String::from_utf8(out).unwrap()));
    }
    assert!(results.windows(2).all(|pair| pair[0].1 == pair[1].1));
    results.remove(0)
}

#[test]
fn documents_get_a_script_and_an_import_map() {
    const MAP: &str = "<script type=\"importmap\">{\"imports\":{\"/\":\"/p/\",\"/p/\":\"/p/\"}}</script>";
    let shown = |body: &str| {
        let (_, page) = documented(&[], body);
        let start = page.find("<script>(function").unwrap();
        let end = start + page[start..].find("</script>").unwrap() + "</script>".len();
        assert!(
            page[..end].ends_with("(\"/p\",\"\",\"b.example:81\");</script>"),
            "{page}"
        );
        page.replace(&page[start..end], "[S]").replace(MAP, "[M]")
    };
    for (body, page) in [
        (
            "<!doctype html><html><head><title>x</title></head><body>y</body></html>",
            "<!doctype html><html><head>[S]<title>x</title></head><body>y[M]</body></html>",
        ),
        (
            "<!-- x --><head profile=/x><script src=/a></script><script type=module src=/b></script></head><body></body>",
            "<!-- x --><head profile=/p/x>[S]<script src=/p/a></script>[M]<script type=module src=/p/b></script></head>\
             <body></body>",
        ),
        (
            "<html><title>x</title><link rel=modulepreload href=/x><p>",
            "<html>[S]<title>x</title>[M]<link rel=modulepreload href=/p/x><p>",
        ),
        ("<script>x</script>", "[S]<script>x</script>"),
        (
            "<head><script type=importmap>{\"imports\": {\"a\": \"/b\"}}</script><script type=module>import '/x'</script>",
            "<head>[S]<script type=importmap>{\"imports\": {\"/\":\"/p/\",\"/p/\":\"/p/\",\"a\": \"/p/b\"}}</script>\
             <script type=module>import '/p/x'</script>",
        ),
    ] {
        assert_eq!(shown(body), page);
    }
}

#[test]
fn a_page_that_knows_its_texts_by_hashes_keeps_them() {
    let body = "<head><style>a{b:url(/x)}</style><script type=module>import '/x'</script><a href=/y>";
    let policy = "style-src 'sha256-abc'; script-src 'none'";
    let (response, page) = documented(&[("content-security-policy", policy)], body);
    assert_eq!(page, body.replace("href=/y", "href=/p/y"));
    assert_eq!(response.headers["content-security-policy"], policy);
    let (response, page) = documented(&[("content-security-policy", "script-src 'self'")], body);
    assert!(page.starts_with("<head><script>(function"));
    let policy = response.headers["content-security-policy"].to_str().unwrap();
    assert!(policy.starts_with("script-src 'self' 'sha256-") && policy.matches("'sha256-").count() == 2);
}

#[test]
fn only_uses_as_documents_get_a_script() {
    let body = "<head><a href=/x>";
    assert_eq!(
        passed(RewriteLinks::Full, "text/html", body),
        "<head><a href=/p/x>"
    );
}

#[test]
fn attachments_and_what_nobody_asked_for_pass() {
    let mk = |kind: &'static str, disposition: &'static str, rewrite_body: Vec<BodyRule>| {
        let mut response = ResponseHeader::build(200, None).unwrap();
        response.insert_header(CONTENT_TYPE, kind).unwrap();
        response.insert_header(CONTENT_DISPOSITION, disposition).unwrap();
        let spec = DirectiveSpec {
            rewrite_body,
            rewrite_links: RewriteLinks::Markup,
            ..DirectiveSpec::default()
        };
        let directives = Directives::compile(&spec).unwrap();
        let prefix = OwnPrefix::new(&mk_prefix(), None);
        LinkRewriter::for_response(&mut response, &directives, prefix, true)
    };
    assert!(mk("text/html", "Attachment; filename=x", Vec::new()).is_none());
    assert!(mk("text/html", "inline", Vec::new()).is_some());
    let rule = BodyRule {
        content_type: "application/json".to_owned(),
        from: "\"/api".to_owned(),
        to: "\"/p/api".to_owned(),
    };
    assert!(mk("text/plain", "inline", vec![rule.clone()]).is_none());
    let mut links = mk("application/json", "inline", vec![rule]).unwrap();
    let mut out = links.write(b"{\"a\": \"/a", false).unwrap().bytes;
    out.extend(links.write(b"pi\"}", true).unwrap().bytes);
    assert_eq!(out, b"{\"a\": \"/p/api\"}");
}

/// What is held does not grow with the body.
#[test]
fn bodies_of_any_length_pass_in_bounded_memory() {
    const MIB: usize = 1 << 20;
    for (kind, row) in [
        (
            "text/html",
            "<tr><td style='a:url(/x)'><a href='/y'>z</a><style>b{c:url(/d)}</style><p>\n",
        ),
        ("text/css", "a{b:url(/x)}/* url(/no) */@import '/y';\n"),
        (
            "text/html",
            "<script type=module>import a from '/x'; const b = `${a}`;</script><!-- - -->\n",
        ),
    ] {
        let mut response = ResponseHeader::build(200, None).unwrap();
        response.insert_header(CONTENT_TYPE, kind).unwrap();
        let prefix = OwnPrefix::new(&mk_prefix(), None);
        let directives = mk_directives(RewriteLinks::Full);
        let mut links = LinkRewriter::for_response(&mut response, &directives, prefix, true).unwrap();
        let piece = row.repeat((64 << 10) / row.len());
        let (mut sent, mut received) = (0, 0);
        let mut most = 0;
        while sent < 64 * MIB {
            sent += piece.len();
            received += links.write(piece.as_bytes(), false).unwrap().bytes.len();
            // Nothing is behind by more than one piece and what is held of one link.
            most = most.max(sent.saturating_sub(received));
        }
        assert!(most <= 2 * piece.len(), "{kind}: {most}");
        assert!(received > sent && links.take_left().is_none(), "{kind}");
    }
}

/// Letters that markup, style sheets and modules are made of, in any order.
#[test]
fn what_has_no_link_is_unchanged() {
    const PARTS: [&str; 28] = [
        "<",
        ">",
        "a ",
        "<a ",
        "href",
        "=",
        "'",
        "\"",
        "<style>",
        "</style>",
        "<script type=module>",
        "</script>",
        "url(",
        ")",
        "@import ",
        "/*",
        "*/",
        "//",
        "`",
        "${",
        "}",
        "{",
        "&#47",
        "<!--",
        "-->",
        "\\",
        "srcset=",
        "import ",
    ];
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for _ in 0..400 {
        let mut body = String::new();
        for _ in 0..60 {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            body.push_str(PARTS[usize::try_from(state % 28).unwrap()]);
        }
        // Without a single slash nothing leads to the root.
        let body = body
            .replace("&#47", "&")
            .replace("//", "x")
            .replace("/*", "*")
            .replace("*/", "*");
        let body = body.replace('/', "");
        for kind in ["text/html", "text/css", "application/xhtml+xml"] {
            assert_eq!(passed(RewriteLinks::Markup, kind, &body), body, "{kind}");
        }
    }
}

#[test]
fn what_would_grow_in_one_tag_is_bounded() {
    let prefix = format!("/{}", "p".repeat(1_000));
    let prefix = PublicPrefix::new("", Some(&prefix), genkan_routing::Scheme::Http, "b.example:81");
    for tag in [
        format!("<img srcset='{}'>", "/, ".repeat(300_000)),
        format!("<a ping='{}'>", "/ ".repeat(300_000)),
        format!("<p style='{}'>", "url(/)".repeat(200_000)),
        format!("<iframe srcdoc='{}'>", "<a href=/>".repeat(100_000)),
        format!("<a {}>", "href=/ ".repeat(100_000)),
    ] {
        let mut links = mk_rewriter(Coding::Identity, &prefix);
        let written = links.write(tag.as_bytes(), true).unwrap();
        assert!(
            written.bytes.len() < 4 << 20,
            "{}: {}",
            &tag[..12],
            written.bytes.len()
        );
        // The parser holds no more attributes than fit into its memory.
        let is_read = !tag.starts_with("<a href");
        assert_eq!(written.bytes.len() > tag.len(), is_read, "{}", &tag[..12]);
    }
}
