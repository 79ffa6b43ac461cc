use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use super::{Material, SourceError, address, bearer, content, read};

// What of a kubeconfig is understood. What would change who we are, and is not, is refused instead of ignored.

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Kubeconfig {
    #[serde(default)]
    current_context: String,
    #[serde(default)]
    clusters: Vec<NamedCluster>,
    #[serde(default)]
    users: Vec<NamedUser>,
    #[serde(default)]
    contexts: Vec<NamedContext>,
}

#[derive(Deserialize)]
struct NamedCluster {
    name: String,
    cluster: Cluster,
}

#[derive(Deserialize)]
struct NamedUser {
    name: String,
    #[serde(default)]
    user: Option<User>,
}

#[derive(Deserialize)]
struct NamedContext {
    name: String,
    context: Context,
}

#[derive(Deserialize)]
struct Context {
    cluster: String,
    #[serde(default)]
    user: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Cluster {
    server: String,
    certificate_authority: Option<PathBuf>,
    certificate_authority_data: Option<String>,
    tls_server_name: Option<String>,
    #[serde(default)]
    insecure_skip_tls_verify: bool,
    proxy_url: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "kebab-case")]
struct User {
    token: Option<String>,
    #[serde(rename = "tokenFile")]
    token_file: Option<PathBuf>,
    client_certificate: Option<PathBuf>,
    client_certificate_data: Option<String>,
    client_key: Option<PathBuf>,
    client_key_data: Option<String>,
    username: Option<String>,
    #[serde(rename = "as")]
    impersonate: Option<String>,
    exec: Option<serde_yaml::Value>,
    auth_provider: Option<serde_yaml::Value>,
}

pub fn load(path: &Path) -> Result<Material, SourceError> {
    let text = read(path)?;
    let config: Kubeconfig = serde_yaml::from_slice(&text).map_err(|source| SourceError::Parse {
        path: path.to_owned(),
        source,
    })?;
    let fail = |problem: String| content(path, problem);
    let Kubeconfig {
        current_context,
        clusters,
        users,
        contexts,
    } = config;
    let context = contexts
        .into_iter()
        .find(|context| context.name == current_context)
        .ok_or_else(|| {
            fail(format!(
                "its current-context {current_context:?} is none of its contexts"
            ))
        })?
        .context;
    let cluster = clusters
        .into_iter()
        .find(|cluster| cluster.name == context.cluster)
        .ok_or_else(|| fail(format!("its cluster {:?} is missing", context.cluster)))?
        .cluster;
    let user = users
        .into_iter()
        .find(|user| user.name == context.user)
        .and_then(|user| user.user)
        .unwrap_or_default();
    refuse(&cluster, &user).map_err(fail)?;
    let (scheme, authority, base_path) = address(&cluster.server).map_err(fail)?;
    let authorization = match (&user.token_file, &user.token) {
        (Some(file), _) => {
            let file = beside(path, file);
            Some(bearer(&read(&file)?).map_err(|problem| content(&file, problem))?)
        }
        (None, Some(token)) => Some(bearer(token.as_bytes()).map_err(fail)?),
        (None, None) => None,
    };
    let pem = |data: Option<String>, file: Option<PathBuf>, what: &str| match (data, file) {
        (Some(data), _) => STANDARD
            .decode(data)
            .map(Some)
            .map_err(|error| fail(format!("its {what}-data is not base64: {error}"))),
        (None, Some(file)) => read(&beside(path, &file)).map(Some),
        (None, None) => Ok(None),
    };
    let ca = pem(
        cluster.certificate_authority_data,
        cluster.certificate_authority,
        "certificate-authority",
    )?;
    let certificate = pem(
        user.client_certificate_data,
        user.client_certificate,
        "client-certificate",
    )?;
    let key = pem(user.client_key_data, user.client_key, "client-key")?;
    if certificate.is_some() != key.is_some() {
        return Err(fail(
            "its user has a client-certificate or a client-key, and needs both".into(),
        ));
    }
    Ok(Material {
        scheme,
        authority,
        base_path,
        ca,
        server_name: cluster.tls_server_name,
        certificate: certificate.zip(key),
        authorization,
    })
}

fn refuse(cluster: &Cluster, user: &User) -> Result<(), String> {
    let known = [
        (
            user.exec.is_some(),
            "an exec plugin; give a token, a tokenFile or a client certificate",
        ),
        (
            user.auth_provider.is_some(),
            "an auth-provider; give a token, a tokenFile or a client certificate",
        ),
        (
            user.username.is_some(),
            "a password; give a token, a tokenFile or a client certificate",
        ),
        (
            user.impersonate.is_some(),
            "impersonation; give the credential of the account itself",
        ),
        (
            cluster.insecure_skip_tls_verify,
            "insecure-skip-tls-verify; give the certificate-authority",
        ),
        (
            cluster.proxy_url.is_some(),
            "a proxy-url; the data plane reaches the API server directly",
        ),
    ];
    match known.iter().find(|(is_used, _)| *is_used) {
        Some((_, what)) => Err(format!("it uses {what}")),
        None => Ok(()),
    }
}

/// Paths in a kubeconfig start from its folder.
fn beside(kubeconfig: &Path, path: &Path) -> PathBuf {
    kubeconfig
        .parent()
        .map_or_else(|| path.to_owned(), |folder| folder.join(path))
}

#[cfg(test)]
mod tests {
    use super::super::ClusterSource;
    use super::*;

    /// A kubeconfig with these further lines of its cluster and its user.
    fn load(cluster: &str, user: &str) -> Result<Material, SourceError> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("token"), "from-file\n").unwrap();
        std::fs::write(folder.path().join("pem"), "PEM").unwrap();
        let path = folder.path().join("config");
        let text = format!(
            "current-context: c\n\
             contexts: [{{name: other, context: {{cluster: x, user: x}}}}, {{name: c, context: {{cluster: k, user: u}}}}]\n\
             clusters: [{{name: k, cluster: {{{cluster}}}}}]\n\
             users: [{{name: u, user: {{{user}}}}}]\n"
        );
        std::fs::write(&path, text).unwrap();
        ClusterSource::Kubeconfig(path).load()
    }

    const SERVER: &str = "server: 'https://api.example:6443/base/'";

    #[test]
    fn kubeconfig_says_where_and_who() {
        let material = load(
            &format!("{SERVER}, certificate-authority-data: UEVN, tls-server-name: k"),
            "token: t",
        )
        .unwrap();
        assert_eq!(
            (material.authority.as_str(), material.base_path.as_str()),
            ("api.example:6443", "/base")
        );
        assert_eq!(material.ca.unwrap(), b"PEM");
        assert_eq!(material.server_name.as_deref(), Some("k"));
        assert_eq!(material.authorization.unwrap(), "Bearer t");
    }

    #[test]
    fn files_are_found_beside_the_kubeconfig() {
        let material = load(
            &format!("{SERVER}, certificate-authority: pem"),
            "token: ignored, tokenFile: token, client-certificate: pem, client-key: pem",
        )
        .unwrap();
        assert_eq!(material.ca.unwrap(), b"PEM");
        assert_eq!(material.authorization.unwrap(), "Bearer from-file");
        assert_eq!(material.certificate.unwrap().0, b"PEM");
    }

    #[test]
    fn what_is_not_supported_is_refused_with_a_way_out() {
        for (cluster, user, said) in [
            ("", "exec: {command: x}", "exec plugin; give a token"),
            ("", "auth-provider: {name: x}", "auth-provider; give"),
            ("", "username: x, password: y", "password; give"),
            ("", "token: t, as: root", "impersonation"),
            (
                "insecure-skip-tls-verify: true",
                "",
                "give the certificate-authority",
            ),
            ("proxy-url: 'http://p'", "", "directly"),
            ("", "client-key-data: UEVN", "needs both"),
            ("", "tokenFile: missing", "cannot be read"),
            ("", "token: ' '", "empty"),
            ("certificate-authority-data: '*'", "", "not base64"),
        ] {
            let cluster = format!("{SERVER}, {cluster}");
            let error = load(cluster.trim_end_matches(", "), user)
                .unwrap_err()
                .to_string();
            assert!(error.contains(said), "{error}");
        }
    }

    #[test]
    fn credentials_are_not_printed() {
        let material = load(SERVER, "token: secret-token").unwrap();
        assert!(!format!("{material:?}").contains("secret"));
    }
}
