//! What a server, or a proxy, sees of a client.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::*;

/// Reads the head of a request, and gives its first line.
async fn asked(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    let head = String::from_utf8(head).unwrap();
    head.lines().next().unwrap().to_owned()
}

async fn answer(stream: &mut TcpStream, body: &str) {
    let length = body.len();
    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(body.as_bytes()).await.unwrap();
}

async fn get(client: &kube::Client) -> serde_json::Value {
    let request = http::Request::get("/version").body(Vec::new()).unwrap();
    client.request(request).await.unwrap()
}

#[tokio::test]
async fn a_connection_serves_one_request_after_the_other_and_is_closed_when_nobody_uses_it() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let client = client(kube::Config::new(url.parse().unwrap()), "test").unwrap();
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        for _ in 0..2 {
            assert_eq!(asked(&mut stream).await, "GET /version HTTP/1.1");
            answer(&mut stream, "{}").await;
        }
        stream
    });
    for _ in 0..2 {
        get(&client).await;
    }
    let mut stream = server.await.unwrap();
    tokio::time::pause();
    // The pool looks once in each such time.
    let closed = tokio::time::timeout(IDLE * 3, async { stream.read(&mut [0]).await.unwrap() });
    assert_eq!(closed.await.expect("it is closed"), 0);
    drop(client);
}

#[cfg(feature = "program")]
#[tokio::test]
async fn who_has_to_go_through_a_proxy_does() {
    let proxy = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut config = kube::Config::new("http://api.test:6443".parse().unwrap());
    let url = format!("http://{}", proxy.local_addr().unwrap());
    config.proxy_url = Some(url.parse().unwrap());
    let client = client(config, "test").unwrap();
    let seen = tokio::spawn(async move {
        let (mut stream, _) = proxy.accept().await.unwrap();
        assert_eq!(asked(&mut stream).await, "CONNECT api.test:6443 HTTP/1.1");
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
        assert_eq!(asked(&mut stream).await, "GET /version HTTP/1.1");
        answer(&mut stream, r#"{"major": "1"}"#).await;
    });
    assert_eq!(get(&client).await["major"], "1");
    seen.await.unwrap();
}
