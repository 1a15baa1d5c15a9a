//! The figures of all arms and annotators beside each other.

use infomark_eval::{ArmFigures, ErrorTable, SeedErrors, compare_arms};

use crate::bench::Bench;
use crate::work::Finished;

/// A row of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Row {
    /// The arm at this place of the experiment.
    Arm(usize),
    /// The annotator at this place of the data set.
    Annotator(usize),
}

/// The figures of a row on a part of a data set.
#[derive(Clone, Debug)]
pub struct Compared {
    /// Place of the data set in the experiment.
    pub data_index: usize,
    /// What the data set is called.
    pub data: String,
    /// What the part is called, where there are parts.
    pub part: Option<String>,
    /// Images of the part.
    pub images: usize,
    /// The arm or annotator.
    pub row: Row,
    /// What it is called.
    pub name: String,
    /// Its figures.
    pub figures: ArmFigures,
}

impl Compared {
    /// What headings and plots call the part of the data set.
    pub fn part_name(&self) -> String {
        self.part.as_ref().map_or_else(|| self.data.clone(), |part| format!("{}, {part}", self.data))
    }

    /// The rows of each part of a data set, part by part.
    pub fn by_part(rows: &[Self]) -> impl Iterator<Item = &[Self]> {
        rows.chunk_by(|a, b| (a.data_index, &a.part) == (b.data_index, &b.part))
    }
}

/// The errors of a row, each with the seed of their training.
type OfSeeds = Vec<(u64, Vec<ErrorTable>)>;

impl Bench<'_> {
    /// The figures of every arm and annotator on every part of every data set, as far as they are finished.
    pub fn compare(&self, finished: &[Finished<'_>]) -> Vec<Compared> {
        let (experiment, rules) = (self.experiment, &self.experiment.evaluate);
        let mut all = Vec::new();
        for (data_index, set) in self.sets.iter().enumerate() {
            for (part, images) in &set.parts {
                let of_part = |tables: &[ErrorTable]| -> Vec<ErrorTable> {
                    let tables = tables.iter().map(|table| table.of_images(|image| images.contains(&image)));
                    tables.filter(|table| !table.images.is_empty()).collect()
                };
                let mut rows: Vec<(Row, String, OfSeeds)> = Vec::new();
                for (arm_index, arm) in experiment.arm.iter().enumerate() {
                    let seeds = of_arm(finished, data_index, arm_index)
                        .map(|done| (done.run.seed, of_part(&done.errors)));
                    let seeds = seeds.filter(|(_, tables)| !tables.is_empty()).collect();
                    rows.push((Row::Arm(arm_index), arm.name.clone(), seeds));
                }
                for (annotator, errors) in set.annotators.iter().enumerate() {
                    let tables = of_part(std::slice::from_ref(errors));
                    let seeds = if tables.is_empty() { Vec::new() } else { vec![(0, tables)] };
                    let name = errors.templates.first().cloned().unwrap_or_default();
                    rows.push((Row::Annotator(annotator), name, seeds));
                }
                let arms: Vec<Vec<SeedErrors<'_>>> =
                    rows.iter().map(|(_, _, seeds)| errors_of(seeds)).collect();
                let figures = compare_arms(&arms, &set.landmarks, &rules.radii, rules.seed);
                for ((row, name, _), figures) in rows.iter().zip(figures) {
                    all.extend(figures.map(|figures| Compared {
                        data_index,
                        data: set.name.clone(),
                        part: part.clone(),
                        images: images.len(),
                        row: *row,
                        name: name.clone(),
                        figures,
                    }));
                }
            }
        }
        all
    }
}

fn errors_of(seeds: &[(u64, Vec<ErrorTable>)]) -> Vec<SeedErrors<'_>> {
    seeds.iter().map(|(seed, tables)| SeedErrors { seed: *seed, tables }).collect()
}

/// The finished trainings of an arm on a data set.
pub(crate) fn of_arm<'f, 'b>(
    finished: &'f [Finished<'b>],
    data_index: usize,
    arm_index: usize,
) -> impl Iterator<Item = &'f Finished<'b>> {
    finished.iter().filter(move |done| (done.run.data_index, done.run.arm_index) == (data_index, arm_index))
}
