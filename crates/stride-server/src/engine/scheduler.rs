//! Which images take the next step together, and which one is decoded.

/// Every so many turns, whoever has waited the longest leads; otherwise whoever has the fewest steps.
const PATIENCE: u64 = 8;
/// Of the rows of a step, one in so many goes to whoever has waited the longest.
const PATIENT_SHARE: usize = 4;

/// Images between their first step and their decoder, who join and leave between any two turns.
///
/// Images of the fewest steps in all go first, and of these whoever is nearest to its end; so a request of few steps never
/// waits for those of many. A share of rows and turns goes by waiting time, so that those of many steps end, too.
#[derive(Debug, Default)]
pub(super) struct Scheduler {
    images: Vec<Image>,
    turn: u64,
}

#[derive(Clone, Copy, Debug)]
struct Image {
    id: u64,
    num_steps: usize,
    steps_left: usize,
    /// Rows of the forward pass that it takes.
    rows: usize,
    last_turn: u64,
}

/// What happens next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// These images take a step together.
    Step(Vec<u64>),
    /// This image, whose steps are done, is decoded, and is forgotten here.
    Decode(u64),
}

/// What is left to do before an image is finished, its own part included.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Forecast {
    pub(super) id: u64,
    /// Rows of forward passes.
    pub(super) rows: usize,
    /// Images to be decoded.
    pub(super) decodes: usize,
}

impl Scheduler {
    /// Adds an image; `id` grows from image to image.
    pub(super) fn join(&mut self, id: u64, num_steps: usize, rows: usize) {
        let last_turn = self.turn;
        self.images.push(Image { id, num_steps, steps_left: num_steps, rows, last_turn });
    }

    /// Forgets the images that are not wanted any more.
    pub(super) fn retain(&mut self, is_wanted: impl Fn(u64) -> bool) {
        self.images.retain(|image| is_wanted(image.id));
    }

    /// Whether there is nothing to do.
    pub(super) fn is_empty(&self) -> bool {
        self.images.is_empty()
    }

    /// What happens next, with steps of at most `max_rows` rows, but at least one image.
    pub(super) fn next(&mut self, max_rows: usize) -> Option<Turn> {
        self.turn += 1;
        let is_patient = self.turn.is_multiple_of(PATIENCE);
        let leader = self.order(if is_patient { Image::waiting } else { Image::urgency }).next()?;
        if self.images[leader].steps_left == 0 {
            return Some(Turn::Decode(self.images.swap_remove(leader).id));
        }
        let mut chosen = vec![leader];
        let mut rows = self.images[leader].rows;
        let patient_rows = rows + max_rows / PATIENT_SHARE;
        let by_waiting =
            self.order(Image::waiting).map(|index| (index, patient_rows.min(max_rows)));
        let by_urgency = self.order(Image::urgency).map(|index| (index, max_rows));
        for (index, limit) in by_waiting.chain(by_urgency) {
            let image = &self.images[index];
            if image.steps_left > 0 && rows + image.rows <= limit && !chosen.contains(&index) {
                rows += image.rows;
                chosen.push(index);
            }
        }
        let turn = self.turn;
        let step = |index: &usize| {
            let image = &mut self.images[*index];
            image.steps_left -= 1;
            image.last_turn = turn;
            image.id
        };
        Some(Turn::Step(chosen.iter().map(step).collect()))
    }

    /// For every image, the work until it is finished if nobody joins: what is more urgent comes first.
    pub(super) fn forecasts(&self) -> Vec<Forecast> {
        let (mut rows, mut decodes) = (0, 0);
        let forecast = |index: usize| {
            let image = &self.images[index];
            rows += image.steps_left * image.rows;
            decodes += 1;
            Forecast { id: image.id, rows, decodes }
        };
        self.order(Image::urgency).map(forecast).collect()
    }

    fn order(&self, key: fn(&Image) -> [u64; 3]) -> std::vec::IntoIter<usize> {
        let mut order: Vec<usize> = (0..self.images.len()).collect();
        order.sort_by_key(|&index| key(&self.images[index]));
        order.into_iter()
    }
}

impl Image {
    fn urgency(&self) -> [u64; 3] {
        [self.num_steps as u64, self.steps_left as u64, self.id]
    }

    fn waiting(&self) -> [u64; 3] {
        [self.last_turn, self.num_steps as u64, self.id]
    }
}

#[cfg(test)]
#[allow(clippy::print_stdout)]
mod tests {
    use super::*;

    /// Takes turns until nothing is left, and returns them.
    fn run(scheduler: &mut Scheduler, max_rows: usize) -> Vec<Turn> {
        std::iter::from_fn(|| scheduler.next(max_rows)).collect()
    }

    fn has(turn: &Turn, id: u64) -> bool {
        match turn {
            Turn::Step(ids) => ids.contains(&id),
            Turn::Decode(decoded) => *decoded == id,
        }
    }

    #[test]
    fn every_image_takes_its_steps_and_is_decoded_once() {
        for max_rows in [1, 2, 3, 16] {
            let mut scheduler = Scheduler::default();
            let steps = [1, 128, 4, 32, 1, 7, 128];
            for (id, steps) in steps.iter().enumerate() {
                scheduler.join(id as u64, *steps, 1 + id % 2);
            }
            let turns = run(&mut scheduler, max_rows);
            for (id, steps) in steps.iter().enumerate() {
                let id = id as u64;
                let own: Vec<&Turn> = turns.iter().filter(|turn| has(turn, id)).collect();
                assert_eq!(own.len(), steps + 1, "image {id}");
                assert_eq!(own.last(), Some(&&Turn::Decode(id)));
            }
            for turn in &turns {
                let Turn::Step(ids) = turn else { continue };
                let rows: usize = ids.iter().map(|id| 1 + *id as usize % 2).sum();
                assert!(rows <= max_rows.max(2) && (rows <= max_rows || ids.len() == 1), "{ids:?}");
            }
        }
    }

    /// Whenever it arrives, an image of few steps has at most two turns of long ones between its own.
    #[test]
    fn few_steps_are_not_behind_many() {
        for max_rows in [1, 4, 16] {
            for few in [1, 2, 4, 6] {
                for arrival in 0..300 {
                    let mut scheduler = Scheduler::default();
                    for id in 0..16 {
                        scheduler.join(id, 128, 1);
                    }
                    for _ in 0..arrival {
                        scheduler.next(max_rows);
                    }
                    scheduler.join(100, few, 1);
                    let mut foreign = 0;
                    loop {
                        let turn = scheduler.next(max_rows).expect("not done");
                        foreign += usize::from(!has(&turn, 100));
                        if turn == Turn::Decode(100) {
                            break;
                        }
                    }
                    // One more turn was under way when it arrived.
                    assert!(foreign <= 1, "{max_rows} rows, {few} steps: {foreign} turns");
                }
            }
        }
    }

    #[test]
    fn many_steps_end_under_a_stream_of_few() {
        for max_rows in [1, 4, 8] {
            let mut scheduler = Scheduler::default();
            scheduler.join(0, 128, 1);
            let mut next = 1;
            let mut turns = 0;
            loop {
                while scheduler.images.len() < 2 * max_rows + 1 {
                    scheduler.join(next, 1, 1);
                    next += 1;
                }
                turns += 1;
                if scheduler.next(max_rows) == Some(Turn::Decode(0)) {
                    break;
                }
                assert!(turns < 100_000, "starved");
            }
            println!("{max_rows} rows: {turns} turns");
            assert!(turns <= 3 * 129 * PATIENCE as usize, "{max_rows} rows: {turns} turns");
        }
    }

    #[test]
    fn forecasts_count_what_is_more_urgent() {
        let mut scheduler = Scheduler::default();
        scheduler.join(0, 128, 2);
        scheduler.join(1, 4, 1);
        let forecasts = scheduler.forecasts();
        assert_eq!(forecasts[0], Forecast { id: 1, rows: 4, decodes: 1 });
        assert_eq!(forecasts[1], Forecast { id: 0, rows: 260, decodes: 2 });
        scheduler.retain(|id| id != 1);
        assert_eq!(scheduler.forecasts(), [Forecast { id: 0, rows: 256, decodes: 1 }]);
    }
}
