//! Prompt to image with a small random model.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Device, Distribution, Tensor};
use stride::clip::ClipTextConfig;
use stride::completion::{CompletedAttribute, CompletionConfig};
use stride::dit::{DitConfig, TextConditioning};
use stride::noise::{self, keyed_rng};
use stride::pipeline::{
    COMPLETION_FILE_NAMES, Drawing, FILE_NAMES, GenerateError, GenerateRequest, GeneratedImage,
    Guidance, InitImage, ModelIndex, Pipeline, PipelineFiles, PipelineParts, UnknownWord,
};
use stride::sampler::{DiffusionSampling, NoiseSchedule, Prediction, Sampler};
use stride::text::{QueryTextConfig, TextEncoder, TextEncoderConfig};
use stride::tokenizer::{ClipTokenizer, Vocabulary};
use stride::vae::{AutoencoderConfig, AutoencoderTinyConfig};
use stride::weights::StoredDtype;
use stride_kernels::gemm::Compute;

/// A model whose gates are open, so that prompt, steps and seed all show.
fn pipeline(guidance: Guidance) -> Pipeline {
    Pipeline::from_parts(parts(guidance, 77), &Device::flex()).expect("parts fit")
}

fn parts(guidance: Guidance, max_position_embeddings: usize) -> PipelineParts {
    let device = Device::flex();
    let tokenizer = ClipTokenizer::new().expect("embedded");
    let captions = ["a man with glasses", "a woman with red hair"];
    let vocabulary = Vocabulary::from_captions(&tokenizer, captions).expect("captions");
    let text_config = ClipTextConfig {
        vocab_size: vocabulary.len(),
        eos_token_id: vocabulary.end_row() as usize,
        hidden_size: 16,
        intermediate_size: 32,
        num_hidden_layers: 1,
        num_attention_heads: 2,
        max_position_embeddings,
        ..ClipTextConfig::default()
    };
    let dit = DitConfig {
        input_size: 4,
        hidden_size: 16,
        depth: 1,
        num_heads: 2,
        context_dim: 16,
        text_conditioning: TextConditioning::PooledAndTokens,
        ..DitConfig::s(2)
    };
    let vae_config = AutoencoderConfig::Tiny(AutoencoderTinyConfig {
        encoder_block_out_channels: vec![8, 8],
        decoder_block_out_channels: vec![8, 8],
        num_encoder_blocks: vec![1, 1],
        num_decoder_blocks: vec![1, 1],
        encoder_pixel_shuffle: 4,
        decoder_pixel_shuffle: 4,
        ..AutoencoderTinyConfig::default()
    });
    PipelineParts {
        index: ModelIndex::new("test", 32, 4, guidance),
        dit: dit.init(&device).expect("valid").map(&mut Jitter),
        text_encoder: TextEncoder::Clip(text_config.init(&device).expect("valid")).map(&mut Jitter),
        vae: vae_config.init(&device).expect("valid").map(&mut Jitter),
        text_config: text_config.into(),
        vocabulary,
        vae_config,
        completion: None,
    }
}

struct Jitter;

impl ModuleMapper for Jitter {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        param.map(|v| v.clone() + v.random_like(Distribution::Normal(0.0, 0.2)))
    }
}

fn request(prompt: &str) -> GenerateRequest {
    GenerateRequest {
        prompt: prompt.to_owned(),
        negative_prompt: None,
        num_steps: 4,
        cfg_scale: 1.0,
        seed: 5,
        count: 1,
        as_typed: false,
    }
}

fn draw(pipeline: &Pipeline, request: &GenerateRequest) -> Vec<GeneratedImage> {
    pipeline.generate(request, &mut |_| ControlFlow::Continue(())).expect("drawn")
}

#[test]
fn image_k_is_the_image_of_seed_plus_k_alone() {
    let pipeline = pipeline(Guidance::AnyLevel);
    let base = request("a man with glasses");
    let many = draw(&pipeline, &GenerateRequest { count: 4, ..base.clone() });
    assert_eq!(
        many,
        draw(&pipeline, &GenerateRequest { count: 4, ..base.clone() }),
        "same bytes twice"
    );
    assert_eq!(many[3].seed, 8);
    let alone = draw(&pipeline, &GenerateRequest { seed: 8, ..base });
    assert_eq!(many[3], alone[0]);
    assert_ne!(many[0].image, many[1].image);
}

/// Takes all the steps of a drawing.
fn finished(pipeline: &Pipeline, mut drawing: Drawing) -> (GeneratedImage, usize) {
    let mut taken = 0;
    while !drawing.is_done() {
        pipeline.advance([&mut drawing]);
        taken += 1;
    }
    (pipeline.finish(&drawing).expect("finite"), taken)
}

#[test]
fn an_image_to_begin_with_leaves_out_the_first_steps() {
    let pipeline = pipeline(Guidance::AnyLevel);
    let request = GenerateRequest { num_steps: 8, ..request("a man") };
    let image = draw(&pipeline, &request).swap_remove(0).image;
    let start = |strength, image| {
        let init = InitImage { image, strength };
        let mut all = pipeline.start_at_image(&request, &init)?;
        let drawing = all.next().expect("one image")?;
        Ok::<_, GenerateError>(finished(&pipeline, drawing))
    };
    let from = |strength| start(strength, image.clone()).expect("in range");
    for (strength, steps) in [(1.0, 8), (0.5, 4), (0.2, 2), (0.01, 1)] {
        assert_eq!(from(strength).1, steps, "strength {strength}");
    }
    // All of the way is drawn anew.
    assert_eq!(from(1.0).0.image, image);
    assert_ne!(from(0.5).0.image, image);
    for strength in [0.0, -1.0, 1.5, f64::NAN] {
        let error = start(strength, image.clone()).expect_err("out of range").to_string();
        assert!(error.contains("more than 0 and at most 1"), "{error}");
    }
    let small = stride::image::RgbImage { width: 16, height: 16, pixels: vec![0; 768] };
    let error = start(0.5, small).expect_err("another size").to_string();
    assert!(error.contains("32x32 pixels, found 16x16"), "{error}");
}

#[test]
fn images_between_two_begin_and_end_at_them() {
    let pipeline = pipeline(Guidance::AnyLevel);
    let a = GenerateRequest { cfg_scale: 2.0, ..request("a man with glasses and red hair") };
    let b = GenerateRequest { prompt: "a woman".to_owned(), seed: 9, ..a.clone() };
    let at = |fraction| {
        let drawing = pipeline.start_between(&a, &b, fraction).expect("possible");
        finished(&pipeline, drawing).0.image
    };
    let alone = |request| draw(&pipeline, request).swap_remove(0).image;
    assert_eq!(at(0.0), alone(&a));
    assert_eq!(at(1.0), alone(&b));
    assert_ne!(at(0.5), at(0.0));
    assert_ne!(at(0.5), at(1.0));
}

#[test]
fn prompt_steps_and_guidance_all_matter() {
    let pipeline = pipeline(Guidance::AnyLevel);
    let base = request("a man with glasses");
    let one = |request: &GenerateRequest| draw(&pipeline, request).remove(0).image;
    let image = one(&base);
    assert_eq!((image.width, image.height), (32, 32));
    assert_ne!(image, one(&request("a woman with red hair")));
    assert_ne!(image, one(&request("")));
    for num_steps in [1, 6, 128] {
        assert_ne!(image, one(&GenerateRequest { num_steps, ..base.clone() }));
    }
    let guided = GenerateRequest { cfg_scale: 3.0, ..base.clone() };
    assert_ne!(image, one(&guided));
    let negative =
        GenerateRequest { negative_prompt: Some("red hair".to_owned()), ..guided.clone() };
    assert_ne!(one(&guided), one(&negative));
}

#[test]
fn bf16_draws_nearly_the_same_image() {
    let request = GenerateRequest { num_steps: 1, ..request("a man with glasses") };
    let pipeline = pipeline(Guidance::AnyLevel);
    let full = draw(&pipeline, &request);
    let half = draw(&pipeline.with_compute(Compute::Bf16), &request);
    let pixels = &full[0].image.pixels;
    let differences = pixels.iter().zip(&half[0].image.pixels).map(|(a, b)| a.abs_diff(*b));
    let mean = differences.map(f64::from).sum::<f64>() / pixels.len() as f64;
    println!("mean difference of a pixel: {mean:.2} of 255");
    // Weights are drawn anew in every run: usually below 2, and 120 for two different images.
    assert!(mean > 0.0 && mean < 10.0, "mean difference of a pixel: {mean} of 255");
}

#[test]
fn requests_that_cannot_be_fulfilled_say_why() {
    let pipeline = pipeline(Guidance::BaseLevel);
    let error = |request: GenerateRequest| {
        let result = pipeline.generate(&request, &mut |_| ControlFlow::Continue(()));
        result.expect_err("must fail").to_string()
    };
    let base = request("a man");
    assert!(error(GenerateRequest { num_steps: 0, ..base.clone() }).contains("from 1 to 128"));
    assert!(error(GenerateRequest { num_steps: 129, ..base.clone() }).contains("129"));
    assert!(error(GenerateRequest { cfg_scale: 2.0, ..base.clone() }).contains("128 steps only"));
    let negative = GenerateRequest { negative_prompt: Some("hat".to_owned()), ..base.clone() };
    assert!(error(negative).contains("128 steps only"));
    assert!(error(GenerateRequest { cfg_scale: f64::NAN, ..base.clone() }).contains("NaN"));
    let guided = GenerateRequest { cfg_scale: 2.0, num_steps: 128, ..base };
    assert_eq!(draw(&pipeline, &guided).len(), 1);
}

/// A pipeline that is guided by `guidance`, with the network that this needs.
fn guided_pipeline(guidance: Guidance) -> Pipeline {
    let mut parts = parts(guidance, 77);
    let device = Device::flex();
    if guidance.needs_scale_input() {
        let config = DitConfig { guidance_input: true, ..parts.dit.config().clone() };
        parts.dit = config.init(&device).expect("valid").map(&mut Jitter);
    }
    Pipeline::from_parts(parts, &device).expect("parts fit")
}

#[test]
fn a_scale_that_is_an_input_reaches_the_image() {
    let pipeline = guided_pipeline(Guidance::ScaleInput { max_scale: 4.0, at_base_level: false });
    for num_steps in [2, 100, 128] {
        let with_scale = |cfg_scale| {
            let request = GenerateRequest { num_steps, cfg_scale, ..request("a man") };
            draw(&pipeline, &request).remove(0).image
        };
        assert_ne!(with_scale(1.0), with_scale(3.0), "{num_steps} steps");
    }
}

#[test]
fn guidance_is_refused_where_it_was_never_trained() {
    let error = |guidance, change: fn(&mut GenerateRequest)| {
        let pipeline = guided_pipeline(guidance);
        let mut request = GenerateRequest { num_steps: 2, cfg_scale: 3.0, ..request("a man") };
        change(&mut request);
        let result = pipeline.generate(&request, &mut |_| ControlFlow::Continue(()));
        result.map_err(|error| error.to_string()).err().unwrap_or_default()
    };
    assert!(error(Guidance::Never, |_| ()).contains("without empty captions"));
    assert!(error(Guidance::Never, |r| r.num_steps = 128).contains("without empty captions"));
    let input = Guidance::ScaleInput { max_scale: 4.0, at_base_level: false };
    assert_eq!(error(input, |_| ()), "");
    assert!(error(input, |r| r.cfg_scale = 5.0).contains("from 1 to 4"));
    assert!(error(input, |r| r.cfg_scale = 0.5).contains("from 1 to 4"));
    let negative = |r: &mut GenerateRequest| r.negative_prompt = Some("hat".to_owned());
    assert!(error(input, negative).contains("128 steps only"));
    // The finest steps are guided by two passes, whose scale and direction are free.
    let fine = |r: &mut GenerateRequest| {
        (r.num_steps, r.cfg_scale, r.negative_prompt) = (128, 5.0, Some("hat".to_owned()));
    };
    assert_eq!(error(input, fine), "");
    // Unless the scale is an input there, too.
    let always = Guidance::ScaleInput { max_scale: 4.0, at_base_level: true };
    let negative = |r: &mut GenerateRequest| {
        (r.num_steps, r.negative_prompt) = (128, Some("hat".to_owned()));
    };
    assert!(error(always, negative).contains("no negative prompt"));
    let fine = |r: &mut GenerateRequest| r.num_steps = 128;
    assert_eq!(error(always, fine), "");
    let far = |r: &mut GenerateRequest| (r.num_steps, r.cfg_scale) = (128, 5.0);
    assert!(error(always, far).contains("from 1 to 4"));
    let mut unfit = parts(Guidance::AnyLevel, 77);
    unfit.index.guidance = input;
    let problem = Pipeline::from_parts(unfit, &Device::flex()).expect_err("must fail").to_string();
    assert!(problem.contains("guidance_input"), "{problem}");
}

#[test]
fn every_sampler_draws_from_its_model_folder() {
    let device = Device::flex();
    let process =
        |prediction| DiffusionSampling { schedule: NoiseSchedule::Cosine, prediction, clip: 4.0 };
    let mut images = Vec::new();
    for sampler in [
        Sampler::Euler { base_level_only: false },
        Sampler::Euler { base_level_only: true },
        Sampler::Consistency,
        Sampler::Ddim(process(Prediction::V)),
        Sampler::Ddim(process(Prediction::Epsilon)),
        Sampler::Ddpm(process(Prediction::V)),
    ] {
        device.seed(7);
        let mut parts = parts(Guidance::AnyLevel, 77);
        parts.index.sampler = sampler;
        let original = Pipeline::from_parts(parts, &device).expect("parts fit");
        let files = original.to_files(StoredDtype::F32).expect("serialisable");
        let loaded = Pipeline::from_files(&files, &device).expect("fits");
        let request = GenerateRequest { count: 2, ..request("a man with glasses") };
        let drawn = draw(&original, &request);
        assert_eq!(drawn, draw(&loaded, &request), "{sampler:?}");
        // Noise that is added on the way belongs to the image's own seed, too.
        let alone = draw(&loaded, &GenerateRequest { seed: 6, count: 1, ..request });
        assert_eq!(drawn[1], alone[0], "{sampler:?}");
        images.push(drawn[0].image.clone());
    }
    for (index, image) in images.iter().enumerate() {
        assert!(!images[..index].contains(image), "sampler {index} draws as another does");
    }
}

/// Draws requests together: half of them join when the others have gone a step. Everybody goes in
/// the same forward passes, whatever the sampler.
fn draw_together(work: &[(&Pipeline, GenerateRequest)]) -> Vec<GeneratedImage> {
    let start = |(pipeline, request): &(&Pipeline, GenerateRequest)| {
        let mut drawings = pipeline.start(request).expect("possible");
        drawings.next().expect("one image").expect("encoded")
    };
    let (early, late) = work.split_at(work.len() / 2);
    let mut drawings: Vec<Drawing> = early.iter().map(start).collect();
    let (any, _) = &work[0];
    any.advance(&mut drawings);
    drawings.extend(late.iter().map(start));
    while drawings.iter().any(|drawing| !drawing.is_done()) {
        any.advance(&mut drawings);
    }
    drawings.iter().map(|drawing| any.finish(drawing).expect("finite")).collect()
}

#[test]
fn a_batch_of_unlike_requests_draws_what_each_draws_alone() {
    let process =
        DiffusionSampling { schedule: NoiseSchedule::Cosine, prediction: Prediction::V, clip: 4.0 };
    let samplers = [
        Sampler::Euler { base_level_only: false },
        Sampler::Euler { base_level_only: true },
        Sampler::Consistency,
        Sampler::Ddim(process),
        Sampler::Ddpm(process),
    ];
    let long = "a woman with red hair and a man with glasses, ".repeat(5);
    let prompts = ["", "a man", "a man with glasses", &long];
    for guidance in
        [Guidance::AnyLevel, Guidance::ScaleInput { max_scale: 4.0, at_base_level: false }]
    {
        let parts = guided_pipeline(guidance).parts().clone();
        let pipelines = samplers.map(|sampler| {
            let mut parts = parts.clone();
            parts.index.sampler = sampler;
            Pipeline::from_parts(parts, &Device::flex()).expect("parts fit")
        });
        let mut rng = keyed_rng(3, 0, 0, 0);
        let mut random = |below: usize| noise::below(&mut rng, below);
        let work: Vec<(&Pipeline, GenerateRequest)> = (0..40)
            .map(|index| {
                let cfg_scale = [1.0, 1.5, 4.0][random(3)];
                let may_be_negative = guidance == Guidance::AnyLevel && cfg_scale != 1.0;
                let request = GenerateRequest {
                    num_steps: [1, 2, 3, 4, 7, 12][random(6)],
                    cfg_scale,
                    seed: index,
                    negative_prompt: (may_be_negative && random(2) == 0)
                        .then(|| prompts[random(4)].to_owned()),
                    ..request(prompts[random(4)])
                };
                (&pipelines[random(samplers.len())], request)
            })
            .collect();
        let together = draw_together(&work);
        let (mut largest, mut differing, mut pixels) = (0, 0, 0);
        for ((pipeline, request), together) in work.iter().zip(together) {
            let alone = draw(pipeline, request).remove(0);
            assert_eq!(alone.seed, together.seed);
            for (alone, together) in alone.image.pixels.iter().zip(&together.image.pixels) {
                let difference = alone.abs_diff(*together);
                largest = largest.max(difference);
                differing += usize::from(difference > 0);
                pixels += 1;
            }
        }
        // The batch is rounded differently, which shows where a value lies between two bytes.
        println!(
            "{guidance:?}: {differing} of {pixels} values differ, by {largest} of 255 at most"
        );
        assert!(largest <= 2 && differing * 1000 < pixels, "{differing} of {pixels}, by {largest}");
    }
}

#[test]
fn drawings_move_between_threads() {
    fn check<T: Send>() {}
    check::<Drawing>();
}

#[test]
fn the_observer_sees_every_step_and_stops() {
    let pipeline = pipeline(Guidance::AnyLevel);
    let base = GenerateRequest { count: 2, num_steps: 3, ..request("a man") };
    let mut seen = Vec::new();
    let mut last = None;
    let images = pipeline
        .generate(&base, &mut |event| {
            seen.push((event.image, event.step, event.num_steps));
            last = Some(event.preview());
            ControlFlow::Continue(())
        })
        .expect("drawn");
    assert_eq!(seen, [(0, 1, 3), (0, 2, 3), (0, 3, 3), (1, 1, 3), (1, 2, 3), (1, 3, 3)]);
    assert_eq!(last.as_ref(), Some(&images[1].image), "the last preview is the image");
    let stopped = pipeline.generate(&base, &mut |_| ControlFlow::Break(()));
    assert_eq!(stopped.expect_err("must stop").to_string(), "stopped");
}

#[test]
fn prompts_are_reported_on() {
    let pipeline = pipeline(Guidance::AnyLevel);
    let report = pipeline.prompt_report("a man with a zebra, and a zebra").expect("tokenised");
    let zebra = UnknownWord { word: "zebra".to_owned(), meant: None };
    assert!(report.unknown_words.contains(&zebra), "{report:?}");
    assert_eq!(report.dropped_tokens, 0);
    let report = pipeline.prompt_report(&"man ".repeat(100)).expect("tokenised");
    assert_eq!((report.dropped_tokens, report.dropped_text.matches("man").count()), (25, 25));
    assert!(report.unknown_words.is_empty());
}

#[test]
fn a_model_survives_its_folder() {
    let original = pipeline(Guidance::AnyLevel);
    let files = original.to_files(StoredDtype::F32).expect("serialisable");
    assert_eq!(files.iter().count(), FILE_NAMES.len());
    let loaded = Pipeline::from_files(&files, &Device::flex()).expect("fits");
    let request = request("a man with glasses");
    assert_eq!(draw(&original, &request), draw(&loaded, &request));
}

#[test]
fn a_text_encoder_with_queries_survives_its_folder_and_shares_passes() {
    let device = Device::flex();
    let parts = parts(Guidance::AnyLevel, 77);
    let config = QueryTextConfig {
        vocab_size: parts.vocabulary.len(),
        eos_token_id: parts.vocabulary.end_row() as usize,
        num_queries: 3,
        hidden_size: 16,
        intermediate_size: 32,
        num_hidden_layers: 2,
        num_attention_heads: 2,
        ..QueryTextConfig::default()
    };
    let encoder = config.init(&device).expect("valid").map(&mut Jitter);
    let parts = PipelineParts {
        text_encoder: TextEncoder::Query(encoder),
        text_config: config.into(),
        ..parts
    };
    let original = Pipeline::from_parts(parts, &device).expect("parts fit");
    let files = original.to_files(StoredDtype::F32).expect("serialisable");
    let loaded = Pipeline::from_files(&files, &device).expect("fits");
    assert!(matches!(loaded.parts().text_config, TextEncoderConfig::Query(_)));
    let requests = ["a man", "a woman with red hair"].map(request);
    let drawn = requests.each_ref().map(|request| draw(&original, request));
    assert_ne!(drawn[0][0].image, drawn[1][0].image, "the words matter");
    for (request, drawn) in requests.iter().zip(&drawn) {
        assert_eq!(&draw(&loaded, request), drawn);
    }
    // Prompts of different lengths in one forward pass.
    let together = draw_together(&requests.each_ref().map(|request| (&loaded, request.clone())));
    for (alone, together) in drawn.iter().zip(&together) {
        let pairs = alone[0].image.pixels.iter().zip(&together.image.pixels);
        let most = pairs.map(|(a, b)| a.abs_diff(*b)).max();
        assert!(most <= Some(1), "levels that padding changes: {most:?}");
    }
}

/// Parts of a model that completes prompts; nothing is trained, so a prompt tells nothing.
fn completing_parts() -> PipelineParts {
    let device = Device::flex();
    let parts = parts(Guidance::AnyLevel, 77);
    let text_encoder = QueryTextConfig {
        vocab_size: parts.vocabulary.len(),
        eos_token_id: parts.vocabulary.end_row() as usize,
        num_queries: 2,
        hidden_size: 16,
        intermediate_size: 32,
        num_hidden_layers: 1,
        num_attention_heads: 2,
        ..QueryTextConfig::default()
    };
    let attribute = |name: &str, phrases: [&str; 2]| CompletedAttribute {
        name: name.to_owned(),
        values: vec!["0".to_owned(), "1".to_owned()],
        phrases: phrases.map(str::to_owned).to_vec(),
    };
    let config = CompletionConfig {
        text_encoder,
        attributes: vec![
            attribute("hair", ["red hair", "no hair"]),
            attribute("eyes", ["", "glasses"]),
        ],
        examples: (0..1000).map(|example| vec![example % 2, 1 - example % 2]).collect(),
    };
    let completion = config.init(parts.vocabulary.clone(), &device).expect("fits");
    let index =
        ModelIndex { completion: Some(ModelIndex::component("Completion")), ..parts.index.clone() };
    PipelineParts { index, completion: Some(completion), ..parts }
}

#[test]
fn what_a_prompt_leaves_open_is_chosen_by_the_seed() {
    let parts = completing_parts();
    let pipeline = Pipeline::from_parts(parts.clone(), &Device::flex()).expect("parts fit");
    let base = request("a man.");
    let many = draw(&pipeline, &GenerateRequest { count: 12, ..base.clone() });
    let prompts: BTreeSet<&str> = many.iter().map(|image| &*image.prompt).collect();
    let expected = BTreeSet::from(["a man, no hair", "a man, red hair, glasses"]);
    assert_eq!(prompts, expected, "values that examples have together");
    for (image, seed) in many.iter().zip(5..) {
        let alone = draw(&pipeline, &GenerateRequest { seed, ..base.clone() });
        assert_eq!(alone[0], *image);
        // It is the image of the completed prompt.
        let prompt = image.prompt.clone();
        let typed = GenerateRequest { prompt, seed, as_typed: true, ..base.clone() };
        assert_eq!(draw(&pipeline, &typed)[0], *image);
    }
    let typed = draw(&pipeline, &GenerateRequest { as_typed: true, ..base });
    assert_eq!(typed[0].prompt, "a man.");
    assert_ne!(typed[0].image, many[0].image);

    let error = |parts| {
        Pipeline::from_parts(parts, &Device::flex()).expect_err("must be refused").to_string()
    };
    let message = error(PipelineParts { completion: None, ..parts.clone() });
    assert!(message.starts_with("model_index.json") && message.contains("none"), "{message}");
}

#[test]
fn a_model_that_completes_prompts_survives_its_folder() {
    let device = Device::flex();
    let original = Pipeline::from_parts(completing_parts(), &device).expect("parts fit");
    let files = original.to_files(StoredDtype::F32).expect("serialisable");
    let names = FILE_NAMES.into_iter().chain(COMPLETION_FILE_NAMES);
    assert_eq!(files.iter().count(), names.count());
    let loaded = Pipeline::from_files(&files, &device).expect("fits");
    let request = request("a man");
    assert_eq!(draw(&original, &request), draw(&loaded, &request));
    for missing in COMPLETION_FILE_NAMES {
        let mut rest = PipelineFiles::new();
        for (name, bytes) in files.iter().filter(|(name, _)| *name != missing) {
            rest.insert(name, bytes.to_vec());
        }
        let message = Pipeline::from_files(&rest, &device).expect_err("must fail").to_string();
        assert!(message.starts_with(missing), "{message}");
    }
}

#[test]
fn broken_folders_name_file_and_tensor() {
    let good = pipeline(Guidance::AnyLevel).to_files(StoredDtype::Bf16).expect("serialisable");
    let with = |name: &'static str, change: &dyn Fn(Vec<u8>) -> Option<Vec<u8>>| {
        let mut files = PipelineFiles::new();
        for (other, bytes) in good.iter() {
            let bytes = if other == name { change(bytes.to_vec()) } else { Some(bytes.to_vec()) };
            if let Some(bytes) = bytes {
                files.insert(other, bytes);
            }
        }
        Pipeline::from_files(&files, &Device::flex()).expect_err("must fail").to_string()
    };
    for name in FILE_NAMES {
        assert!(with(name, &|_| None).starts_with(name), "{name} missing");
        let message = with(name, &|bytes| Some(bytes[..bytes.len() / 2].to_vec()));
        assert!(message.contains(name), "{name} truncated: {message}");
    }
    let replaced = |name, from: &'static str, to: &'static str| {
        with(name, &|bytes| {
            Some(String::from_utf8(bytes).expect("JSON").replacen(from, to, 1).into_bytes())
        })
    };
    let message = replaced("transformer/config.json", "\"depth\": 1", "\"depth\": 2");
    assert!(message.contains("transformer/diffusion_pytorch_model.safetensors"), "{message}");
    assert!(message.contains("tensor blocks.1."), "{message}");
    let message = replaced("transformer/config.json", "\"context_dim\": 16", "\"context_dim\": 8");
    assert!(
        message.contains("context_dim") && message.contains("text_encoder/config.json"),
        "{message}"
    );
    let message = replaced("model_index.json", "\"resolution\": 32", "\"resolution\": 64");
    assert!(message.contains("vae/config.json"), "{message}");
    for (from, to, expected) in [
        ("\"resolution\": 32", "\"resolution\": 33", "resolution: expected a multiple of 8"),
        (
            "\"default_steps\": 4",
            "\"default_steps\": 0",
            "default_steps: the number of steps must be from 1",
        ),
        (
            "\"default_cfg_scale\": 1.0",
            "\"default_cfg_scale\": -1.0",
            "default_cfg_scale: expected a number of at least 0",
        ),
        ("any_level", "some_level", "some_level"),
        ("\"kind\": \"euler\"", "\"kind\": \"heun\"", "heun"),
        (
            "\"kind\": \"euler\",\n    \"base_level_only\": false",
            "\"kind\": \"ddim\", \"schedule\": \"linear\", \"prediction\": \"v\", \"clip\": -1.0",
            "clip must be positive and finite, found -1",
        ),
        ("\"name\"", "\"nom\"", "nom"),
    ] {
        let message = replaced("model_index.json", from, to);
        assert!(
            message.starts_with("model_index.json: ") && message.contains(expected),
            "{message}"
        );
    }
    let message = replaced("text_encoder/config.json", "embeddings\": 77", "embeddings\": 2");
    assert!(message.contains("text_encoder/model.safetensors"), "{message}");
    let message = replaced("vae/config.json", "pixel_shuffle\": 4", "pixel_shuffle\": 0");
    assert!(message.starts_with("vae/config.json"), "{message}");
    let message = replaced("model_index.json", "StridePipeline", "OtherPipeline");
    assert!(message.contains("_class_name") && message.contains("OtherPipeline"), "{message}");
}

#[test]
fn a_text_encoder_with_few_positions_gets_short_captions() {
    let device = Device::flex();
    let short = Pipeline::from_parts(parts(Guidance::AnyLevel, 6), &device).expect("parts fit");
    let long_prompt = request("a man with glasses and a woman with red hair");
    assert_eq!(draw(&short, &long_prompt).len(), 1);
    assert!(short.prompt_report(&long_prompt.prompt).expect("tokenised").dropped_tokens > 0);
    let error = Pipeline::from_parts(parts(Guidance::AnyLevel, 2), &device).expect_err("must fail");
    assert!(error.to_string().contains("max_position_embeddings"), "{error}");
}

#[test]
fn numbers_that_overflow_are_an_error_and_no_image() {
    struct Blow;
    impl ModuleMapper for Blow {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            param.map(|v| v * 1e30)
        }
    }
    let device = Device::flex();
    let good = parts(Guidance::AnyLevel, 77);
    let blown_dit = PipelineParts { dit: good.dit.clone().map(&mut Blow), ..good.clone() };
    let blown_vae = PipelineParts { vae: good.vae.clone().map(&mut Blow), ..good };
    for parts in [blown_dit, blown_vae] {
        let pipeline = Pipeline::from_parts(parts, &device).expect("parts fit");
        let result = pipeline.generate(&request("a man"), &mut |_| ControlFlow::Continue(()));
        assert!(result.expect_err("must fail").to_string().contains("seed 5"));
    }
}
