//! Risk: a server promises what it does not do: a limit that is another one, a format that it does not read.

use tonic::Code;

use crate::grpc::field;
use crate::support::proto::server_service_client::ServerServiceClient;
use crate::support::{TestServer, lookup_request, proto, unit};

#[tokio::test]
async fn a_server_describes_what_it_does() {
    let server = TestServer::start().await;
    let mut clients = server.clients().await;
    clients.create_memory("m").await;
    let mut client = ServerServiceClient::new(clients.channel.clone());
    let info = client.get_server_info(proto::GetServerInfoRequest {}).await.unwrap().into_inner();
    assert_eq!(
        (info.version.as_str(), info.api_version.as_str()),
        (env!("CARGO_PKG_VERSION"), "v1")
    );

    // They are those that the protocol documents.
    let documented = include_str!("../proto/dhakira/v1/server.proto");
    let documented = documented.split_once("repeated string capabilities").unwrap().0;
    for capability in &info.capabilities {
        assert!(documented.contains(&format!("`{capability}`")), "{capability}");
    }

    let language = |code: &str| info.languages.iter().find(|it| it.language_code == code).unwrap();
    for code in ["ar", "en"] {
        let known = language(code);
        assert!(known.stems && known.sentence_rules && known.numerals, "{known:?}");
    }

    // Its limits are where calls are refused.
    let limits = info.limits.unwrap();
    for more in [0, 1] {
        let units = vec![unit("\u{646}\u{635}", "text"); (limits.batch_units + more) as usize];
        let parent = "memories/m".to_owned();
        let request = proto::BatchCreateUnitsRequest { parent, units, ..Default::default() };
        let answer = clients.units.batch_create_units(request).await;
        match answer {
            Ok(_) => assert_eq!(more, 0),
            Err(error) => {
                assert_eq!((field(&error, Code::InvalidArgument).as_str(), more), ("units", 1));
            }
        }
        let mut request = lookup_request(&["m"], "\u{646}\u{635}");
        let segment = request.segments[0].clone();
        request.segments = vec![segment; (limits.lookup_segments + more) as usize];
        let answer = clients.lookups.lookup_segments(request).await;
        assert_eq!(answer.is_err(), more == 1);
        let mut request = lookup_request(&["m"], "\u{646}\u{635}");
        request.settings.as_mut().unwrap().max_matches = limits.lookup_matches + more;
        let answer = clients.lookups.lookup_segments(request).await;
        assert_eq!(answer.is_err(), more == 1);
        let text = "a".repeat((limits.segment_bytes + i64::from(more)) as usize);
        let request = proto::CreateUnitRequest {
            parent: "memories/m".into(),
            unit: Some(unit("\u{646}\u{635}", &text)),
            ..Default::default()
        };
        assert_eq!(clients.units.create_unit(request).await.is_err(), more == 1);
    }

    // It reads every format that it names, and no other.
    for (format, is_read) in
        info.import_formats.iter().map(|it| (it.as_str(), true)).chain([("docx", false)])
    {
        let header = proto::ImportFileHeader {
            parent: "memories/m".into(),
            import_id: uuid::Uuid::new_v4().to_string(),
            format: format.to_owned(),
            ..Default::default()
        };
        let message = proto::import_file_request::Message::Header(header);
        let header = proto::ImportFileRequest { message: Some(message) };
        let answers = clients.units.import_file(tokio_stream::once(header)).await;
        let first = match answers {
            Ok(answers) => answers.into_inner().message().await,
            Err(error) => Err(error),
        };
        let is_unknown = first.err().is_some_and(|error| {
            error.code() == Code::InvalidArgument
                && field(&error, Code::InvalidArgument) == "header.format"
        });
        assert_eq!(is_unknown, !is_read, "{format}");
    }
}
