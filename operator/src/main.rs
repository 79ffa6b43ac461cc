use std::process::ExitCode;

fn main() -> ExitCode {
    // Before anything builds a TLS configuration: rustls refuses to guess between providers.
    if rustls::crypto::ring::default_provider()
        .install_default()
        .is_err()
    {
        eprintln!("genkan: another TLS provider was installed first");
        return ExitCode::FAILURE;
    }
    genkan_operator::cli::main()
}
