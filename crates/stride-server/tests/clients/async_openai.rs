//! The crate `async-openai` as a client: `async-openai-client URL KEY`, of a server that runs.

use async_openai::Client;
use async_openai::config::OpenAIConfig;
use async_openai::error::OpenAIError;
use async_openai::types::images::{
    CreateImageRequest, Image, ImageGenStreamEvent, ImageModel, ImageOutputFormat, ImageSize,
};
use futures_util::StreamExt as _;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let (url, key) = (arguments.next().expect("URL"), arguments.next().expect("KEY"));
    let config = |key: &str| OpenAIConfig::new().with_api_base(format!("{url}/v1")).with_api_key(key);
    let client = Client::with_config(config(&key));

    let models = client.models().list().await?;
    assert_eq!(models.data.len(), 1, "{models:?}");
    let model = ImageModel::Other(models.data[0].id.clone());
    let request = |prompt: &str| CreateImageRequest {
        prompt: prompt.to_owned(),
        model: model.clone(),
        ..CreateImageRequest::default()
    };

    let two = CreateImageRequest { n: Some(2), size: Some(ImageSize::Auto), ..request("a man with glasses") };
    let reply = client.images().generate(two).await?;
    assert_eq!(reply.data.len(), 2);
    assert!(reply.usage.is_some_and(|usage| usage.total_tokens > 0));
    assert_eq!(reply.output_format, Some(ImageOutputFormat::Png));
    for image in &reply.data {
        let Image::B64Json { b64_json, .. } = image.as_ref() else { panic!("expected the file, found an address") };
        // What a PNG file begins with.
        assert!(b64_json.starts_with("iVBORw0KGgo"));
    }

    let streamed = CreateImageRequest {
        partial_images: Some(2),
        output_format: Some(ImageOutputFormat::Webp),
        ..request("a woman")
    };
    let mut events = client.images().generate_stream(streamed).await?;
    let mut completed = 0;
    while let Some(event) = events.next().await {
        match event? {
            ImageGenStreamEvent::PartialImage(partial) => {
                assert_eq!((completed, partial.b64_json.is_empty()), (0, false));
            }
            ImageGenStreamEvent::Completed(image) => {
                completed += 1;
                // What a WebP file begins with.
                assert!(image.b64_json.starts_with("UklGR"));
            }
        }
    }
    assert_eq!(completed, 1);

    let many = CreateImageRequest { n: Some(200), ..request("a hat") };
    match client.images().generate(many).await {
        Err(OpenAIError::ApiError(error)) => assert_eq!(error.api_error.param.as_deref(), Some("n"), "{error:?}"),
        other => panic!("expected an error about n, found {other:?}"),
    }
    let wrong = Client::with_config(config("wrong")).models().list().await;
    assert!(matches!(wrong, Err(OpenAIError::ApiError(_))), "{wrong:?}");
    println!("async-openai 0.43.0: all as expected");
    Ok(())
}
