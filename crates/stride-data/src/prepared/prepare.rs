//! Encodes a data set into a prepared folder, or brings one up to date.

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use rayon::prelude::*;
use stride_files::FolderLock;

use super::encoder::{LatentEncoder, to_half, write_planes};
use super::manifest::{self, FORMAT, HEADER, MANIFEST, PreparedHeader, PreparedImage, TOKENS};
use super::shard::Layout;
use super::store::{Place, Places, Row, Store};
use super::summary::{PrepareProgress, PrepareSummary};
use crate::decode::decoder_name;
use crate::{
    ContentHash, DataError, Filter, Limits, Part, Problem, Record, Source, decode, square,
};

/// Images per shard.
const SHARD_SIZE: usize = 512;
/// Batches that are decoded ahead of the encoder.
const READ_AHEAD: usize = 2;
/// How much work is lost at most when a run is killed; Ctrl-C loses none.
const SAVE_EVERY: Duration = Duration::from_secs(60);

/// What to prepare, and how.
pub struct Preparation<'a> {
    /// The images.
    pub source: &'a Source,
    /// Number of images to use, from the start of the listing; all if absent.
    pub max_images: Option<usize>,
    /// Which part of them; all if absent.
    pub part: Option<Part>,
    /// Bounds on the images.
    pub limits: Limits,
    /// How images of another size are resized.
    pub filter: Filter,
    /// Whether mirror images are encoded as well.
    pub mirrored: bool,
    /// The captions of an image; an image without any gets the empty caption.
    pub captions: &'a dyn Fn(&Record) -> Vec<String>,
    /// Makes the latents.
    pub encoder: &'a dyn LatentEncoder,
    /// Ends the run when set; what is done is kept.
    pub stop: &'a AtomicBool,
    /// Images per shard.
    pub(super) shard_size: usize,
}

/// An image on its way from the disk to the encoder.
struct Item {
    index: usize,
    sha256: ContentHash,
    key: ContentHash,
    latents: Latents,
}

enum Latents {
    Known(Place),
    /// Pixels to encode, R G B.
    Wanted(Vec<u8>),
}

type Batch = Vec<Result<Item, Problem>>;

/// Bytes held, now and at the peak.
#[derive(Default)]
struct Held {
    now: AtomicUsize,
    peak: AtomicUsize,
}

impl Held {
    fn add(&self, bytes: usize) {
        let now = self.now.fetch_add(bytes, Ordering::Relaxed) + bytes;
        self.peak.fetch_max(now, Ordering::Relaxed);
    }

    fn remove(&self, bytes: usize) {
        self.now.fetch_sub(bytes, Ordering::Relaxed);
    }
}

impl<'a> Preparation<'a> {
    /// All images of a source, resized bicubically where they must be, each with its mirror image.
    pub fn new(
        source: &'a Source,
        encoder: &'a dyn LatentEncoder,
        captions: &'a dyn Fn(&Record) -> Vec<String>,
        stop: &'a AtomicBool,
    ) -> Self {
        Self {
            source,
            max_images: None,
            part: None,
            limits: Limits::default(),
            filter: Filter::Bicubic,
            mirrored: true,
            captions,
            encoder,
            stop,
            shard_size: SHARD_SIZE,
        }
    }

    /// Brings the folder `out` up to date with the source: latents that still match are kept, the others are made.
    ///
    /// The result depends on the arguments alone, not on what the folder held before or how often the run was
    /// interrupted. An image that cannot be used is left out and listed in the summary. While another process prepares
    /// the same folder, this one waits.
    ///
    /// # Errors
    /// The folder cannot be written, no image is usable, or the encoder returns a value that f16 cannot hold.
    pub fn run(
        &self,
        out: &Path,
        progress: &mut dyn FnMut(PrepareProgress),
    ) -> Result<PrepareSummary, DataError> {
        let start = Instant::now();
        let Some(_lock) = FolderLock::acquire(out, self.stop)? else {
            return Ok(PrepareSummary { was_stopped: true, ..PrepareSummary::default() });
        };
        // What was there before, in whatever state, affects only the counts of the summary.
        let before = manifest::read(out, None).unwrap_or_default();
        let before: HashMap<&str, &PreparedImage> =
            before.iter().map(|image| (image.name.as_str(), image)).collect();
        let layout = self.layout();
        let (mut store, places) = Store::open(out, &[], layout, self.shard_size)?;
        let mut summary =
            PrepareSummary { damaged: store.damaged.clone(), ..PrepareSummary::default() };
        let (held, range) = (Held::default(), self.range());
        let total = range.len();
        let reader = Reader {
            source: self.source,
            limits: &self.limits,
            filter: self.filter,
            resolution: self.encoder.resolution(),
            ingredients: self.ingredients(),
            places: &places,
            held: &held,
        };
        let mut images = Vec::new();
        let (send, receive) = sync_channel(READ_AHEAD);
        thread::scope(|scope| {
            let batch_size = self.encoder.batch_size().max(1);
            scope.spawn(move || reader.run(range, batch_size, &send));
            let mut writer = Writer {
                of: self,
                store: &mut store,
                held: &held,
                images: &mut images,
                summary: &mut summary,
            };
            writer.run(receive, total, progress)
        })?;
        summary.peak_bytes = held.peak.load(Ordering::Relaxed);

        for image in &images {
            let old = before.get(image.name.as_str());
            summary.recaptioned += usize::from(old.is_some_and(|o| o.captions != image.captions));
            match (places.contains_key(&image.key), old) {
                (true, _) => summary.reused += 1,
                (false, Some(_)) => summary.remade += 1,
                (false, None) => summary.made += 1,
            }
        }
        summary.images = images.len();
        if summary.was_stopped {
            store.save()?;
        } else {
            if images.is_empty() && self.part.is_none() {
                return Err(DataError::NothingUsable {
                    skipped: summary.problems.len(),
                    first: summary.problems.first().cloned(),
                });
            }
            let names: HashSet<&str> = images.iter().map(|p| p.name.as_str()).collect();
            summary.dropped = before.keys().filter(|name| !names.contains(*name)).count();
            finish(store, self.header(), &images)?;
        }
        summary.seconds = start.elapsed().as_secs_f64();
        Ok(summary)
    }

    /// The stretch of the listing that is prepared.
    pub(super) fn range(&self) -> Range<usize> {
        let total = self.source.records().len();
        let total = self.max_images.map_or(total, |max| max.min(total));
        self.part.unwrap_or(Part::ALL).range(total)
    }

    fn layout(&self) -> Layout {
        Layout {
            views: 1 + usize::from(self.mirrored),
            moments: 1 + usize::from(self.encoder.is_variational()),
            shape: self.encoder.latent_shape(),
        }
    }

    /// Hash of everything that latents depend on beside the image.
    fn ingredients(&self) -> ContentHash {
        ContentHash::of_parts(&[
            b"stride latents",
            &FORMAT.to_le_bytes(),
            &self.encoder.resolution().to_le_bytes(),
            filter_name(self.filter).as_bytes(),
            &[u8::from(self.mirrored)],
            self.encoder.identity().as_bytes(),
            self.encoder.dtype().as_bytes(),
        ])
    }

    fn header(&self) -> PreparedHeader {
        PreparedHeader {
            format: FORMAT,
            resolution: self.encoder.resolution(),
            filter: filter_name(self.filter).to_owned(),
            mirrored: self.mirrored,
            variational: self.encoder.is_variational(),
            latent: self.encoder.latent_shape(),
            autoencoder: self.encoder.identity(),
            dtype: self.encoder.dtype().to_owned(),
            images: 0,
            shard_size: self.shard_size,
            part: self.part,
            manifest_sha256: ContentHash::of(b""),
            tokens_sha256: ContentHash::of(b""),
        }
    }
}

fn filter_name(filter: Filter) -> &'static str {
    match filter {
        Filter::Bicubic => "bicubic",
        Filter::Bilinear => "bilinear",
    }
}

/// Writes manifest, tokens and header of these images and commits the store.
pub(super) fn finish(
    store: Store,
    mut header: PreparedHeader,
    images: &[PreparedImage],
) -> Result<(), DataError> {
    let (lines, tokens) = (manifest::to_lines(images)?, manifest::to_tokens(images)?);
    header.images = images.len();
    header.manifest_sha256 = ContentHash::of(&lines);
    header.tokens_sha256 = ContentHash::of(&tokens);
    let mut header = serde_json::to_vec_pretty(&header)?;
    header.push(b'\n');
    store.finish(&[(TOKENS, tokens), (MANIFEST, lines), (HEADER, header)])
}

/// Reads and decodes images ahead of the encoder.
struct Reader<'a> {
    source: &'a Source,
    limits: &'a Limits,
    filter: Filter,
    resolution: usize,
    ingredients: ContentHash,
    places: &'a Places,
    held: &'a Held,
}

impl Reader<'_> {
    /// Sends batches in the order of the listing until the receiver is gone.
    fn run(&self, range: Range<usize>, batch_size: usize, send: &SyncSender<Batch>) {
        for first in range.clone().step_by(batch_size) {
            let indices = first..(first + batch_size).min(range.end);
            let batch: Batch = indices.into_par_iter().map(|index| self.item(index)).collect();
            if send.send(batch).is_err() {
                break;
            }
        }
    }

    fn item(&self, index: usize) -> Result<Item, Problem> {
        let bytes = self.source.read(index)?;
        let sha256 = ContentHash::of(&bytes);
        let mut parts: Vec<&[u8]> = vec![self.ingredients.as_bytes(), sha256.as_bytes()];
        parts.extend(Some(decoder_name(&bytes)).filter(|name| !name.is_empty()));
        let key = ContentHash::of_parts(&parts);
        let latents = match self.places.get(&key) {
            Some(&place) => Latents::Known(place),
            None => {
                let name = || self.source.records()[index].name.clone();
                let image =
                    decode(&bytes, self.limits).map_err(|kind| Problem { name: name(), kind })?;
                let pixels = square(&image, self.resolution, self.filter).into_raw();
                self.held.add(pixels.len());
                Latents::Wanted(pixels)
            }
        };
        Ok(Item { index, sha256, key, latents })
    }
}

/// Encodes what the reader sends and stores it.
struct Writer<'a, 'b> {
    of: &'a Preparation<'b>,
    store: &'a mut Store,
    held: &'a Held,
    images: &'a mut Vec<PreparedImage>,
    summary: &'a mut PrepareSummary,
}

impl Writer<'_, '_> {
    /// Takes the receiver, so that the reader ends when this does.
    fn run(
        &mut self,
        batches: Receiver<Batch>,
        total: usize,
        progress: &mut dyn FnMut(PrepareProgress),
    ) -> Result<(), DataError> {
        let (mut done, mut saved) = (0, Instant::now());
        let mut encoding: Option<(Instant, usize)> = None;
        for batch in batches {
            if self.of.stop.load(Ordering::Relaxed) {
                self.summary.was_stopped = true;
                break;
            }
            let size = batch.len();
            let items = self.sort_out(batch);
            let (since, before) = *encoding.get_or_insert((Instant::now(), done));
            let encoded = self.encode(&items)?;
            if encoded.is_empty() {
                encoding = None;
            }
            self.put(items, encoded)?;
            done += size;
            if saved.elapsed() > SAVE_EVERY {
                self.store.save()?;
                saved = Instant::now();
            }
            let per_image = since.elapsed().as_secs_f64() / (done - before) as f64;
            let seconds_left = encoding.map(|_| per_image * (total - done) as f64);
            progress(PrepareProgress { done, total, seconds_left });
        }
        Ok(())
    }

    /// The usable images; the problems of the others go into the summary.
    fn sort_out(&mut self, batch: Batch) -> Vec<Item> {
        let mut items = Vec::with_capacity(batch.len());
        for item in batch {
            match item {
                Ok(item) => items.push(item),
                Err(problem) => self.summary.problems.push(problem),
            }
        }
        items
    }

    /// The rows of the images to encode, in their order.
    fn encode(&mut self, items: &[Item]) -> Result<Vec<Vec<u8>>, DataError> {
        let wanted: Vec<(usize, &[u8])> = items
            .iter()
            .filter_map(|item| match &item.latents {
                Latents::Wanted(pixels) => Some((item.index, pixels.as_slice())),
                Latents::Known(_) => None,
            })
            .collect();
        let (layout, resolution) = (self.of.layout(), self.of.encoder.resolution());
        let mut rows = vec![Vec::with_capacity(layout.row_bytes()); wanted.len()];
        if wanted.is_empty() {
            return Ok(rows);
        }
        for view in 0..layout.views {
            let mut planes = Vec::with_capacity(wanted.len() * 3 * resolution * resolution);
            for (_, pixels) in &wanted {
                write_planes(pixels, resolution, view == 1, &mut planes);
            }
            let bytes = 4 * planes.len();
            self.held.add(bytes);
            let start = Instant::now();
            let moments = self.of.encoder.encode(planes);
            self.summary.encoder_seconds += start.elapsed().as_secs_f64();
            self.held.remove(bytes);
            let numbers = layout.moments * layout.shape.len();
            assert_eq!(moments.len(), wanted.len() * numbers, "moments of every image");
            let moments = moments.chunks_exact(numbers.max(1));
            for ((row, moments), (index, _)) in rows.iter_mut().zip(moments).zip(&wanted) {
                to_half(moments, row).map_err(|value| DataError::Encoder {
                    name: self.of.source.records()[*index].name.clone(),
                    value,
                })?;
            }
        }
        Ok(rows)
    }

    fn put(&mut self, items: Vec<Item>, encoded: Vec<Vec<u8>>) -> Result<(), DataError> {
        let mut encoded = encoded.into_iter();
        for Item { index, sha256, key, latents } in items {
            let record = &self.of.source.records()[index];
            let mut captions = (self.of.captions)(record);
            if captions.is_empty() {
                self.summary.without_caption += 1;
                captions.push(String::new());
            }
            self.images.push(PreparedImage {
                name: record.name.clone(),
                sha256,
                key,
                captions,
                attributes: record.face.map(PreparedImage::names_of),
            });
            let row = match latents {
                Latents::Known(place) => Row::Kept(place),
                Latents::Wanted(pixels) => {
                    self.held.remove(pixels.len());
                    Row::Made(encoded.next().expect("a row for every image that is wanted"))
                }
            };
            let before = self.store.pending_bytes();
            self.store.push(key, row)?;
            let after = self.store.pending_bytes();
            self.held.add(after.saturating_sub(before));
            self.held.remove(before.saturating_sub(after));
        }
        Ok(())
    }
}
