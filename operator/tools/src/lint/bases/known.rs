//! Web UIs that many people publish, and how each is told its base path.

/// A UI, by the images that hold it.
#[derive(Debug)]
pub(super) struct Ui {
    pub(super) title: &'static str,
    /// The ends of names of images, without registry and tag.
    pub(super) images: &'static [&'static str],
    /// With `{base}` for the base path, which has no slash at its end; `None`: it cannot be told.
    pub(super) setting: Option<&'static str>,
    /// What stands in arguments or names of variables of one that is told.
    pub(super) signs: &'static [&'static str],
}

const fn ui(
    title: &'static str,
    images: &'static [&'static str],
    setting: &'static str,
    signs: &'static [&'static str],
) -> Ui {
    Ui {
        title,
        images,
        setting: Some(setting),
        signs,
    }
}

pub(super) const UIS: &[Ui] = &[
    ui(
        "Grafana",
        &[
            "grafana/grafana",
            "grafana/grafana-oss",
            "grafana/grafana-enterprise",
        ],
        "GF_SERVER_SERVE_FROM_SUB_PATH=true and GF_SERVER_ROOT_URL='%(protocol)s://%(domain)s{base}/'",
        &["GF_SERVER_SERVE_FROM_SUB_PATH"],
    ),
    ui(
        "Prometheus",
        &["prom/prometheus", "prometheus/prometheus"],
        "--web.external-url={base}/",
        &["--web.external-url", "--web.route-prefix"],
    ),
    ui(
        "Alertmanager",
        &["prom/alertmanager", "prometheus/alertmanager"],
        "--web.external-url={base}/",
        &["--web.external-url", "--web.route-prefix"],
    ),
    ui(
        "Jupyter",
        &[
            "jupyter/base-notebook",
            "jupyter/minimal-notebook",
            "jupyter/scipy-notebook",
            "jupyter/datascience-notebook",
            "jupyter/tensorflow-notebook",
            "jupyter/pyspark-notebook",
        ],
        "--ServerApp.base_url={base}/",
        &["--ServerApp.base_url", "--NotebookApp.base_url"],
    ),
    ui(
        "Argo CD",
        &["argoproj/argocd"],
        "--rootpath={base} of argocd-server (server.rootpath in argocd-cmd-params-cm)",
        &["--rootpath", "ARGOCD_SERVER_ROOTPATH"],
    ),
    ui(
        "Kibana",
        &["kibana/kibana", "library/kibana", "kibana"],
        "SERVER_BASEPATH={base} and SERVER_REWRITEBASEPATH=true",
        &["SERVER_BASEPATH"],
    ),
    ui(
        "Kiali",
        &["kiali/kiali"],
        "server.web_root: {base} in its configuration",
        &["SERVER_WEB_ROOT"],
    ),
    ui(
        "Superset",
        &["apache/superset"],
        "SUPERSET_APP_ROOT={base}",
        &["SUPERSET_APP_ROOT"],
    ),
    ui(
        "the console of MinIO",
        &["minio/minio", "minio/console"],
        "MINIO_BROWSER_REDIRECT_URL with the public URL that ends in {base}/, and stripPathPrefix as it is",
        &["MINIO_BROWSER_REDIRECT_URL", "CONSOLE_SUBPATH"],
    ),
    ui(
        "Jenkins",
        &["jenkins/jenkins"],
        "JENKINS_OPTS=--prefix={base}",
        &["--prefix", "JENKINS_PREFIX"],
    ),
    ui(
        "SonarQube",
        &["library/sonarqube", "sonarqube"],
        "SONAR_WEB_CONTEXT={base}",
        &["SONAR_WEB_CONTEXT"],
    ),
    ui(
        "Jaeger",
        &["jaegertracing/all-in-one", "jaegertracing/jaeger-query"],
        "QUERY_BASE_PATH={base}",
        &["QUERY_BASE_PATH", "--query.base-path"],
    ),
    ui(
        "Nexus",
        &["sonatype/nexus3"],
        "NEXUS_CONTEXT={base}",
        &["NEXUS_CONTEXT"],
    ),
    ui(
        "Streamlit",
        &["streamlit/streamlit"],
        "STREAMLIT_SERVER_BASE_URL_PATH={base}",
        &["STREAMLIT_SERVER_BASE_URL_PATH", "--server.baseUrlPath"],
    ),
    ui(
        "pgAdmin",
        &["dpage/pgadmin4"],
        "SCRIPT_NAME={base}",
        &["SCRIPT_NAME"],
    ),
    ui(
        "MLflow",
        &["mlflow/mlflow"],
        "--static-prefix={base}",
        &["--static-prefix", "_MLFLOW_STATIC_PREFIX"],
    ),
    Ui {
        title: "Harbor",
        images: &["goharbor/harbor-portal", "goharbor/nginx-photon"],
        setting: None,
        signs: &[],
    },
];
