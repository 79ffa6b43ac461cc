//! Policies of gateway extensions, as they are written and sent: steps, definitions, hooks and overrides. They read what
//! manifests hold; whether a step can be run is said by the crate that runs it.

use std::collections::BTreeMap;

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Map, Value};

use super::{ChunkKey, ObjectRef, Unavailable, blob};

/// What a data plane must be able to do for policies, in the words of the stream.
pub const EXTENSIONS: &str = "extensions/1";

/// One step of a chain: a built-in policy, or one of a PolicyDefinition.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PolicyStep {
    /// `jwt`, `partner-orders`, `partner-orders@1`.
    #[serde(rename = "use")]
    pub uses: String,
    /// Its configuration; texts may hold `{{ CEL }}`.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub with: Map<String, Value>,
    /// For logs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// CEL: it is skipped where this is false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<String>,
    /// Readers of YAML 1.1, kubectl among them, take the name for a boolean where it has no quotes.
    #[serde(default, alias = "true", skip_serializing_if = "is_default")]
    pub on: Direction,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_error: Option<OnError>,
    #[serde(default, skip_serializing_if = "is_default")]
    pub mode: Mode,
    /// Such as `2s`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<String>,
}

/// Which message a step is about.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
pub enum Direction {
    #[default]
    Request,
    Response,
}

/// What an error of a step means; a refusal is never skipped.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
pub enum OnError {
    #[default]
    Fail,
    Continue,
}

/// Whether a step acts.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
pub enum Mode {
    #[default]
    Enforce,
    /// On a copy: it changes and blocks nothing.
    Shadow,
    Disabled,
}

/// What becomes of requests when a step can reach no verdict and does not say so itself.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
pub enum FailurePolicy {
    #[default]
    FailClosed,
    FailOpen,
}

/// A reusable policy: the specification of a PolicyDefinition.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PolicyDefinition {
    pub policy: String,
    /// `N.N.N`.
    pub version: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// JSON Schema of an object; it checks `with`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parameters: Option<Map<String, Value>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<PolicyStep>,
    /// JavaScript: `{source}` or `{file}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub script: Option<Map<String, Value>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call_out: Option<Map<String, Value>>,
    /// `EXTENSION/ENTRY` that it comes from; written by the operator only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entry: Option<String>,
    /// Only objects with one of these as their label `gateway.genkan.io/catalog` use it; none: all do. Written by the
    /// operator only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub catalogs: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub catch: Vec<Catch>,
    #[serde(default, rename = "finally", skip_serializing_if = "Vec::is_empty")]
    pub finally: Vec<PolicyStep>,
}

/// What is done about an error inside a definition.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Catch {
    /// Reasons; `*` is all.
    pub errors: Vec<String>,
    #[serde(default)]
    pub steps: Vec<PolicyStep>,
}

/// Steps that an administrator adds to objects.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Hook {
    pub at: HookPlace,
    #[serde(default, skip_serializing_if = "is_default")]
    pub position: Position,
    /// Higher first.
    #[serde(default, skip_serializing_if = "is_default")]
    pub priority: i32,
    #[serde(default, skip_serializing_if = "is_default")]
    pub select: Select,
    /// `OnError` alone: globs on reasons; none are all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<String>,
    pub steps: Vec<PolicyStep>,
}

/// Where in the life of a request a hook stands.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum HookPlace {
    #[default]
    PreRequest,
    PostRequest,
    PostResponse,
    OnError,
}

/// Of a `PreRequest` hook: behind or before the access review.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
pub enum Position {
    #[default]
    AfterBuiltin,
    BeforeBuiltin,
}

/// Which objects are meant.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Select {
    /// `ReverseProxy`, `APIService`, `Connector`; none are all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kinds: Vec<String>,
    /// Globs on names, for Connectors on `NAMESPACE/NAME`; none are all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<String>,
    /// All present and matching; values are globs.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}

/// Settings of the objects that it selects.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Override {
    #[serde(default, skip_serializing_if = "is_default")]
    pub select: Select,
    /// All broader ones are dropped.
    #[serde(default, skip_serializing_if = "is_default")]
    pub exclusive: bool,
    /// Keys of `settings` that broader ones set and this one drops.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reset: Vec<String>,
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub settings: Map<String, Value>,
}

/// A name under which steps know a Secret.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SecretAlias {
    pub alias: String,
    pub namespace: String,
    pub name: String,
    /// The one key that is meant; all of them where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

/// What the author of an object wants to be done with its requests.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Policies {
    pub steps: Vec<PolicyStep>,
    pub secrets: Vec<SecretAlias>,
    /// Those of the object that hooks and overrides may select it by.
    pub labels: BTreeMap<String, String>,
}

/// A PolicyDefinition, as it is sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DefinedPolicy {
    pub object: ObjectRef,
    /// Or why it cannot be used: who names it then answers 503.
    pub definition: Result<PolicyDefinition, Unavailable>,
}

/// One entry of a gateway extension in one form.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryKey {
    pub extension: String,
    pub entry: String,
    /// The first 12 hexadecimal digits of the digest of what runs.
    pub digest: String,
}

/// What an entry does.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ExtensionEntry {
    /// Of all its steps.
    #[serde(default, skip_serializing_if = "is_default")]
    pub mode: Mode,
    #[serde(default, skip_serializing_if = "is_default")]
    pub failure_policy: FailurePolicy,
    #[serde(default, skip_serializing_if = "is_default")]
    pub limits: EntryLimits,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub policies: Vec<PolicyDefinition>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hooks: Vec<Hook>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub overrides: Vec<Override>,
    /// Its files come from a Secret: only steps of the extension read them.
    #[serde(default, skip_serializing_if = "is_default")]
    pub is_private: bool,
    /// Files that steps read, by path: in base64.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub files: BTreeMap<String, String>,
    /// Files that travel in pieces, by path.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub large_files: BTreeMap<String, LargeFile>,
}

/// A file that travels in pieces beside the entry.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LargeFile {
    /// Of the whole, in small hexadecimal digits.
    pub sha256: String,
    /// Bytes.
    pub length: u64,
}

/// What each step of an entry may use.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EntryLimits {
    /// Milliseconds that it may take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline_ms: Option<u64>,
    /// Bytes of a body that it reads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_body: Option<u64>,
}

/// Which entries of an extension act, and since when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ExtensionRevision {
    pub object: ObjectRef,
    /// What is meant.
    pub target: RevisionEntries,
    /// What was complete everywhere before; absent where there was nothing.
    pub stable: Option<RevisionEntries>,
    /// A data plane that begins takes the stable one, or none where that is absent; else it takes the target.
    pub restores_stable: bool,
    /// Built-in policies that may fail open, anywhere.
    pub allow_fail_open: Vec<String>,
    /// Secrets that its steps know by name.
    pub secrets: Vec<SecretAlias>,
}

/// One revision of an extension.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RevisionEntries {
    pub id: String,
    pub entries: Vec<RevisionEntry>,
}

/// An entry of a revision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RevisionEntry {
    pub entry: String,
    pub digest: String,
    /// It acts as soon as it is there, whatever revision the data plane has.
    pub is_immediate: bool,
}

/// What one data plane is to do for the roll-out of an extension.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rollout {
    pub extension: String,
    /// Empty: without the deferred entries of the extension.
    pub revision: String,
    pub action: RolloutAction,
    /// Comes back with the answer.
    pub nonce: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RolloutAction {
    /// Get out of the way.
    Drain,
    /// Make the revision the active one.
    Apply,
    /// Say whether everything can be served with it.
    Verify,
    /// Be ready again.
    Undrain,
}

/// How far a data plane has come with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RolloutState {
    pub extension: String,
    pub revision: String,
    pub stage: RolloutStage,
    /// Requests that are not answered yet, but for those that nobody waits for.
    pub in_flight: u64,
    /// One sentence, of `Failed`; else empty.
    pub error: String,
    /// 0: nobody asked.
    pub nonce: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RolloutStage {
    Draining,
    /// Nothing is in flight now.
    Drained,
    Applied,
    Verified,
    Undrained,
    Failed,
}

/// How an extension does on one data plane, since its revision is active there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExtensionReport {
    pub extension: String,
    pub revision: String,
    /// Requests that met a step of it.
    pub requests: u64,
    /// Those in which one failed; a refusal is no failure.
    pub errors: u64,
}

/// What is active of extensions on one data plane: their revisions by name. An empty one is none of the deferred entries.
pub type ActiveRevisions = BTreeMap<String, String>;

// === impl Policies ===

impl Policies {
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty() && self.secrets.is_empty() && self.labels.is_empty()
    }
}

// === impl EntryKey ===

const ENTRY: &str = "ExtensionEntry/";

impl EntryKey {
    /// Reads what [`Display`](fmt::Display) writes.
    pub fn parse(text: &str) -> Option<Self> {
        let (extension, rest) = text.strip_prefix(ENTRY)?.split_once('/')?;
        let (entry, digest) = rest.split_once('@')?;
        let is_name = |text: &str| !text.is_empty() && !text.contains(['/', '@']);
        [extension, entry, digest].into_iter().all(is_name).then(|| Self {
            extension: extension.to_owned(),
            entry: entry.to_owned(),
            digest: digest.to_owned(),
        })
    }
}

/// `ExtensionEntry/{extension}/{entry}@{digest}`.
impl fmt::Display for EntryKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{ENTRY}{}/{}@{}", self.extension, self.entry, self.digest)
    }
}

impl Serialize for EntryKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

// === impl ExtensionEntry ===

impl ExtensionEntry {
    /// Its files, by path.
    pub fn files(&self) -> impl Iterator<Item = (&str, Vec<u8>)> {
        let files = self.files.iter();
        files.filter_map(|(path, text)| Some((path.as_str(), STANDARD.decode(text).ok()?)))
    }
}

// === impl LargeFile ===

impl LargeFile {
    /// Of its pieces, in their order; none where its digest is no such thing.
    pub fn chunks(&self) -> impl Iterator<Item = ChunkKey> {
        let file = blob::hash(&self.sha256);
        file.into_iter().flat_map(|file| ChunkKey::all(file, self.length))
    }
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
