use std::collections::VecDeque;

use parking_lot::Mutex;
use tokio::time::advance;

use super::*;

/// Says in turn what it was given, the last of it for ever.
#[derive(Debug, Default, Clone)]
struct Scripted {
    answers: Arc<Mutex<VecDeque<(u16, String)>>>,
    asked: Arc<Mutex<Vec<String>>>,
    takes: Duration,
}

#[async_trait]
impl Server for Scripted {
    async fn ask(&self, asked: &Asked<'_>) -> Result<Answer, String> {
        let authorization = asked.headers.iter().find(|(name, _)| name == "Authorization");
        let authorization = authorization.map_or("-", |(_, value)| value.as_str());
        let body = String::from_utf8_lossy(asked.body);
        self.asked.lock().push(format!("{authorization} {body}"));
        tokio::time::sleep(self.takes).await;
        let mut answers = self.answers.lock();
        let (status, body) = match answers.len() {
            1 => answers[0].clone(),
            _ => answers.pop_front().ok_or("the connection is refused")?,
        };
        Ok(Answer {
            status,
            headers: Vec::new(),
            body,
        })
    }
}

fn mk_server(answers: &[(u16, &str)]) -> Scripted {
    let answers = answers.iter().map(|(status, body)| (*status, (*body).to_owned()));
    Scripted {
        answers: Arc::new(Mutex::new(answers.collect())),
        ..Scripted::default()
    }
}

fn mk_source() -> TokenSource {
    TokenSource {
        url: "https://login.example/token?tenant=a".into(),
        scopes: vec!["read".into(), "a b".into()],
        authorities: None,
    }
}

const CLIENT: Holder<'_> = Holder {
    id: b"me",
    secret: b"p:w/1",
};
const GOOD: &str = r#"{"access_token": "t1", "token_type": "bearer", "expires_in": 100}"#;

async fn token(tokens: &Tokens) -> Result<String, String> {
    let granted = tokens.get(&mk_source(), CLIENT).await;
    granted
        .map(|granted| granted.text.to_string())
        .map_err(|problem| problem.message)
}

#[tokio::test(start_paused = true)]
async fn everybody_waits_for_one_question_and_shares_its_answer() {
    let server = Scripted {
        takes: Duration::from_secs(1),
        ..mk_server(&[(200, GOOD)])
    };
    let tokens = Tokens::of(Box::new(server.clone()));
    let all = futures::future::join_all((0..20).map(|_| token(&tokens))).await;
    assert!(all.iter().all(|token| token.as_deref() == Ok("t1")), "{all:?}");
    assert_eq!(
        *server.asked.lock(),
        ["Basic bWU6cCUzQXclMkYx grant_type=client_credentials&scope=read%20a%20b"]
    );
}

#[tokio::test(start_paused = true)]
async fn it_is_fetched_again_before_it_ends() {
    let other = GOOD.replace("t1", "t2");
    let server = mk_server(&[(200, GOOD), (200, &other)]);
    let tokens = Tokens::of(Box::new(server.clone()));
    assert_eq!(token(&tokens).await.unwrap(), "t1");
    advance(Duration::from_secs(89)).await;
    assert_eq!(token(&tokens).await.unwrap(), "t1");
    advance(Duration::from_secs(2)).await;
    assert_eq!(token(&tokens).await.unwrap(), "t2");
    assert_eq!(server.asked.lock().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_reads_the_body_alone_is_asked_that_way_from_then_on() {
    let refused = r#"{"error": "invalid_client"}"#;
    let server = mk_server(&[(401, refused), (200, GOOD)]);
    let tokens = Tokens::of(Box::new(server.clone()));
    assert_eq!(token(&tokens).await.unwrap(), "t1");
    advance(Duration::from_secs(100)).await;
    assert_eq!(token(&tokens).await.unwrap(), "t1");
    let asked = server.asked.lock();
    let in_body = "- grant_type=client_credentials&scope=read%20a%20b&client_id=me&client_secret=p%3Aw%2F1";
    assert_eq!(asked[1..], [in_body, in_body]);
}

#[tokio::test(start_paused = true)]
async fn what_is_wrong_is_said_without_a_secret_and_not_asked_again_at_once() {
    for (status, body, said) in [
        (
            401,
            r#"{"error": "invalid_client"}"#,
            "it answers 401 (invalid_client)",
        ),
        (400, r#"{"error": "p:w/1 is wrong"}"#, "it answers 400"),
        (503, "busy", "it answers 503"),
        (302, "", "it answers 302"),
        (200, "<html>", "its answer holds no access_token"),
        (
            200,
            r#"{"access_token": "a b"}"#,
            "its token is one that no header takes",
        ),
        (
            200,
            r#"{"access_token": "a", "token_type": "mac"}"#,
            "its token is of another type than Bearer",
        ),
    ] {
        let server = mk_server(&[(status, body)]);
        let tokens = Tokens::of(Box::new(server.clone()));
        let expected = format!("https://login.example/token grants no token: {said}");
        assert_eq!(token(&tokens).await.unwrap_err(), expected);
        let asked = server.asked.lock().len();
        assert_eq!(token(&tokens).await.unwrap_err(), expected);
        assert_eq!(server.asked.lock().len(), asked, "{said}");
        advance(REST).await;
        assert_eq!(token(&tokens).await.unwrap_err(), expected);
        assert!(server.asked.lock().len() > asked, "{said}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_silent_server_is_waited_for_once() {
    let server = Scripted {
        takes: Duration::from_secs(3600),
        ..mk_server(&[(200, GOOD)])
    };
    let tokens = Tokens::of(Box::new(server.clone()));
    let source = mk_source();
    let all = futures::future::join_all((0..3).map(|_| tokens.get(&source, CLIENT))).await;
    assert!(all.into_iter().all(|granted| granted.unwrap_err().is_late));
    assert_eq!(server.asked.lock().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn one_that_a_tool_refuses_is_replaced_and_not_too_often() {
    let server = mk_server(&[(200, GOOD)]);
    let tokens = Tokens::of(Box::new(server.clone()));
    let granted = tokens.get(&mk_source(), CLIENT).await.unwrap();
    tokens.refuse(&granted.id);
    token(&tokens).await.unwrap();
    assert_eq!(server.asked.lock().len(), 1, "it is too young");
    advance(LEAST_AGE).await;
    tokens.refuse(&granted.id);
    token(&tokens).await.unwrap();
    assert_eq!(server.asked.lock().len(), 2);
}
