//! Where links stand in markup: the attributes of the HTML standard that hold one, those of its predecessors, and of SVG.

/// How an attribute holds links.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holds {
    Link,
    /// Links with blanks between them.
    List,
    /// Of images, with what speaks for each.
    Candidates,
    /// Declarations of CSS.
    Style,
    /// A whole document.
    Document,
}

/// Elements and attributes; an empty element stands for any.
pub const ATTRIBUTES: &[(&str, &str, Holds)] = &[
    ("a", "href", Holds::Link),
    ("area", "href", Holds::Link),
    ("base", "href", Holds::Link),
    ("link", "href", Holds::Link),
    ("image", "href", Holds::Link),
    ("audio", "src", Holds::Link),
    ("bgsound", "src", Holds::Link),
    ("embed", "src", Holds::Link),
    ("frame", "src", Holds::Link),
    ("iframe", "src", Holds::Link),
    ("img", "src", Holds::Link),
    ("image", "src", Holds::Link),
    ("input", "src", Holds::Link),
    ("script", "src", Holds::Link),
    ("source", "src", Holds::Link),
    ("track", "src", Holds::Link),
    ("video", "src", Holds::Link),
    ("video", "poster", Holds::Link),
    ("img", "lowsrc", Holds::Link),
    ("img", "dynsrc", Holds::Link),
    ("form", "action", Holds::Link),
    ("button", "formaction", Holds::Link),
    ("input", "formaction", Holds::Link),
    ("isindex", "action", Holds::Link),
    ("blockquote", "cite", Holds::Link),
    ("del", "cite", Holds::Link),
    ("ins", "cite", Holds::Link),
    ("q", "cite", Holds::Link),
    ("body", "background", Holds::Link),
    ("table", "background", Holds::Link),
    ("thead", "background", Holds::Link),
    ("tbody", "background", Holds::Link),
    ("tfoot", "background", Holds::Link),
    ("tr", "background", Holds::Link),
    ("td", "background", Holds::Link),
    ("th", "background", Holds::Link),
    ("applet", "codebase", Holds::Link),
    ("object", "codebase", Holds::Link),
    ("object", "classid", Holds::Link),
    ("object", "data", Holds::Link),
    ("img", "usemap", Holds::Link),
    ("input", "usemap", Holds::Link),
    ("object", "usemap", Holds::Link),
    ("frame", "longdesc", Holds::Link),
    ("iframe", "longdesc", Holds::Link),
    ("img", "longdesc", Holds::Link),
    ("html", "manifest", Holds::Link),
    ("head", "profile", Holds::Link),
    ("menuitem", "icon", Holds::Link),
    ("", "itemid", Holds::Link),
    ("", "xlink:href", Holds::Link),
    ("a", "ping", Holds::List),
    ("area", "ping", Holds::List),
    ("a", "attributionsrc", Holds::List),
    ("img", "attributionsrc", Holds::List),
    ("script", "attributionsrc", Holds::List),
    ("object", "archive", Holds::List),
    ("img", "srcset", Holds::Candidates),
    ("source", "srcset", Holds::Candidates),
    ("link", "imagesrcset", Holds::Candidates),
    ("", "style", Holds::Style),
    ("iframe", "srcdoc", Holds::Document),
];

/// How an attribute, in lower case, of an element holds links. In other vocabularies than that of HTML every `href` is one.
pub fn holds(element: &str, attribute: &str, is_html: bool) -> Option<Holds> {
    if attribute == "href" && !is_html {
        return Some(Holds::Link);
    }
    let is_it = |of: &str, name: &str| name == attribute && (of.is_empty() || of == element);
    let found = ATTRIBUTES.iter().find(|(of, name, _)| is_it(of, name));
    found.map(|(_, _, holds)| *holds)
}
