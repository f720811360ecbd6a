//! A server behind TLS: which authorities vouch for it, and what is said when none does.

use super::*;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// An authority of one's own, and the address of a listener with a certificate of it, in front of the server.
async fn behind_tls(server: &S3Server) -> (String, Vec<u8>) {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("an authority");
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(vec!["localhost".to_owned()]).expect("a plain name");
    let certificate = params.signed_by(&key, &authority).expect("a certificate");
    let chain: Vec<CertificateDer<'static>> = vec![certificate.der().clone()];
    let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("the provider has suites")
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .expect("they belong together");
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("there is a free port");
    let port = listener.local_addr().expect("a bound listener has an address").port();
    let behind = server.endpoint().replace("http://localhost", "127.0.0.1");
    tokio::spawn(async move {
        let acceptor = TlsAcceptor::from(Arc::new(config));
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, behind) = (acceptor.clone(), behind.clone());
            tokio::spawn(async move {
                let Ok(mut outer) = acceptor.accept(stream).await else { return };
                let mut inner = TcpStream::connect(behind).await.expect("the server listens");
                let _ = tokio::io::copy_bidirectional(&mut outer, &mut inner).await;
            });
        }
    });
    (format!("https://localhost:{port}"), authority.pem().into_bytes())
}

#[tokio::test]
async fn an_authority_of_ones_own_vouches_for_the_server_and_no_other_does() {
    let server = server().await;
    let (endpoint, authority) = behind_tls(&server).await;
    let (_, stranger) = behind_tls(&server).await;
    let settings = |pem: &Vec<u8>| S3Settings {
        endpoint: endpoint.clone(),
        authority_pem: Some(pem.clone()),
        ..server.settings()
    };
    let store = create(&server, &settings(&authority)).await.expect("a store behind TLS");
    store.put_new(&name("x"), Bytes::from_static(b"1")).await.expect("storing");
    assert_eq!(store.get(&name("x")).await.expect("reading"), &b"1"[..]);

    let error = open(&server, &settings(&stranger)).await.expect_err("another authority");
    let sentence = said(&error);
    assert!(sentence.contains("the server's certificate is not trusted: "), "{sentence}");
    assert!(!sentence.contains("attempts"), "asking again does not help: {sentence}");
    assert!(matches!(error, StoreError::Bucket { .. }), "{error:?}");

    for pem in [Vec::new(), b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".to_vec()] {
        let error = open(&server, &settings(&pem)).await.expect_err("no authority");
        assert!(matches!(error, StoreError::Setting { setting: "authority", .. }), "{error:?}");
    }
}
