//! UIs that could be told their base path, where the workload behind an object is among the files.

mod known;

use std::collections::BTreeMap;

use genkan_routing::service_of_host;
use serde_json::Value;

use super::document::Document;
use super::{Level, Remark};
use known::{UIS, Ui};

/// Of an object that names none.
const DEFAULT_NAMESPACE: &str = "default";

pub(super) fn check(documents: &[Document<'_>], remarks: &mut Vec<Remark>) {
    let workloads: Vec<Workload<'_>> = documents.iter().filter_map(Workload::of).collect();
    if workloads.is_empty() {
        return;
    }
    let services: BTreeMap<(&str, &str), &Value> = documents
        .iter()
        .filter(|document| document.value["kind"] == "Service")
        .map(|document| {
            let key = (namespace(&document.value), document.name());
            (key, &document.value["spec"]["selector"])
        })
        .collect();
    for document in documents {
        if !document.is_published() || document.value["kind"] != "ReverseProxy" {
            continue;
        }
        let spec = &document.value["spec"];
        let Some(base) = base_of(spec) else { continue };
        let Some((namespace, name)) = service_of(&spec["upstream"]) else {
            continue;
        };
        let Some(selector) = services.get(&(namespace.as_str(), name.as_str())) else {
            continue;
        };
        let mut behind = workloads
            .iter()
            .filter(|workload| workload.is_chosen(&namespace, selector));
        let found = behind.find_map(|workload| Some((workload, workload.ui()?)));
        if let Some((workload, ui)) = found {
            let strips = spec["directives"]["stripPathPrefix"].as_str().unwrap_or_default();
            remarks.extend(judge(document, workload, ui, base, strips));
        }
    }
}

/// Pods, as something makes them.
struct Workload<'d> {
    namespace: &'d str,
    labels: &'d Value,
    containers: &'d [Value],
}

fn judge(
    document: &Document<'_>,
    workload: &Workload<'_>,
    ui: &Ui,
    base: &str,
    strips: &str,
) -> Option<Remark> {
    let field = "spec.directives.stripPathPrefix";
    let title = ui.title;
    let Some(setting) = ui.setting else {
        let message =
            format!("{title} cannot live below a path; open it by host, which needs no change of it");
        return Some(document.remark(Level::Warning, "spec.matcher.path", message));
    };
    let setting = setting.replace("{base}", base);
    let keeps_stripping = setting.contains("stripPathPrefix");
    let message = match (workload.is_told(ui), strips.is_empty()) {
        (true, false) if !keeps_stripping => format!(
            "{title} is told a base path, and never sees it, because it is taken off; leave stripPathPrefix out"
        ),
        (false, true) => format!(
            "{title} believes to be at /, and gets {base}/; tell it by {setting}, or write stripPathPrefix: {base} and open it by host"
        ),
        (false, false) => format!(
            "{title} is right by host; below {base}/ it has to be told so: {setting}{}",
            if keeps_stripping {
                ""
            } else {
                ", without stripPathPrefix"
            }
        ),
        (true, _) => return None,
    };
    Some(document.remark(Level::Warning, field, message))
}

// === impl Workload ===

impl<'d> Workload<'d> {
    fn of(document: &'d Document<'_>) -> Option<Self> {
        let value = &document.value;
        let pod = match value["kind"].as_str()? {
            "Deployment" | "StatefulSet" | "DaemonSet" | "ReplicaSet" => &value["spec"]["template"],
            "Pod" => value,
            _ => return None,
        };
        Some(Self {
            namespace: namespace(value),
            labels: &pod["metadata"]["labels"],
            containers: pod["spec"]["containers"].as_array()?,
        })
    }

    fn is_chosen(&self, namespace: &str, selector: &Value) -> bool {
        let Some(selector) = selector.as_object().filter(|selector| !selector.is_empty()) else {
            return false;
        };
        self.namespace == namespace && selector.iter().all(|(name, value)| self.labels[name] == *value)
    }

    fn ui(&self) -> Option<&'static Ui> {
        let images = self
            .containers
            .iter()
            .filter_map(|container| container["image"].as_str());
        images.map(repository).find_map(|repository| {
            UIS.iter()
                .find(|ui| ui.images.iter().any(|image| is_image(repository, image)))
        })
    }

    fn is_told(&self, ui: &Ui) -> bool {
        let texts = |container: &'d Value| {
            let lists = ["command", "args"].into_iter();
            let words = lists.flat_map(move |name| container[name].as_array().into_iter().flatten());
            let variables = container["env"].as_array().into_iter().flatten();
            let variables = variables.flat_map(|variable| [&variable["name"], &variable["value"]]);
            words.chain(variables).filter_map(Value::as_str)
        };
        let mut texts = self.containers.iter().flat_map(texts);
        texts.any(|text| ui.signs.iter().any(|sign| text.contains(sign)))
    }
}

fn namespace(value: &Value) -> &str {
    let namespace = value["metadata"]["namespace"].as_str();
    namespace
        .filter(|name| !name.is_empty())
        .unwrap_or(DEFAULT_NAMESPACE)
}

/// `/proxy/NAME` of an object that takes all below.
fn base_of(spec: &Value) -> Option<&str> {
    let base = spec["matcher"]["path"].as_str()?.strip_suffix("/*")?;
    (base.starts_with("/proxy/") && !base.contains('*')).then_some(base)
}

fn service_of(upstream: &Value) -> Option<(String, String)> {
    let service = &upstream["service"];
    if let (Some(name), None) = (service["name"].as_str(), upstream["url"].as_str()) {
        let namespace = service["namespace"].as_str().unwrap_or(DEFAULT_NAMESPACE);
        return Some((namespace.to_owned(), name.to_owned()));
    }
    let (_, rest) = upstream["url"].as_str()?.split_once("://")?;
    service_of_host(rest.split(['/', ':', '?']).next()?)
}

/// An image without its tag and digest.
fn repository(image: &str) -> &str {
    let image = image.split('@').next().unwrap_or_default();
    match image.rsplit_once(':') {
        // A colon in front of a slash is that of a port.
        Some((repository, tag)) if !tag.contains('/') => repository,
        Some(_) | None => image,
    }
}

fn is_image(repository: &str, image: &str) -> bool {
    let rest = repository.strip_suffix(image);
    rest.is_some_and(|rest| rest.ends_with('/') || (rest.is_empty() && !image.is_empty()))
}
