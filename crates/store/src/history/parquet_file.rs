//! Writes and reads sealed files.

use super::positioned::Positioned;
use arrow_array::RecordBatch;
use arrow_schema::{DataType, Schema};
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use parquet::arrow::{ArrowWriter, ProjectionMask};
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::{KeyValue, RowGroupMetaData};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::statistics::Statistics;
use parquet::schema::types::ColumnPath;
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;

/// The version of the layout, written into every file.
pub(super) const SCHEMA_VERSION: &str = "1";
/// Slow to write, as fast to read as any.
const LEVEL: i32 = 9;
/// Rows that are read at a time.
const BATCH: usize = 1 << 16;

/// Writes a file: each batch is a row group of its own. The file is whole and durable, or it is not there.
pub(super) fn write(path: &Path, schema: &Arc<Schema>, groups: impl Iterator<Item = io::Result<RecordBatch>>) -> io::Result<()> {
    let unfinished = path.with_extension("parquet.unfinished");
    if let Some(directory) = path.parent() {
        std::fs::create_dir_all(directory)?;
    }
    let file = File::create(&unfinished)?;
    let written = write_groups(file, schema, groups).and_then(|file| file.sync_all());
    if let Err(error) = written {
        let _as_good_as_gone = std::fs::remove_file(&unfinished);
        return Err(error);
    }
    std::fs::rename(&unfinished, path)?;
    super::journal::sync_directory(path)
}

fn write_groups(file: File, schema: &Arc<Schema>, groups: impl Iterator<Item = io::Result<RecordBatch>>) -> io::Result<File> {
    let mut writer = ArrowWriter::try_new(file, schema.clone(), Some(properties(schema)?)).map_err(failed)?;
    for group in groups {
        writer.write(&group?).map_err(failed)?;
        writer.flush().map_err(failed)?;
    }
    writer.into_inner().map_err(failed)
}

/// Whole numbers and instants as differences, everything else by dictionary; statistics where files are pruned by them. Pages are as long as
/// their bytes allow: what one session's rows repeat of another's is found within a page only.
fn properties(schema: &Schema) -> io::Result<WriterProperties> {
    let level = ZstdLevel::try_new(LEVEL).map_err(failed)?;
    let version = KeyValue::new("pgtend.schema_version".to_owned(), SCHEMA_VERSION.to_owned());
    let mut properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(level))
        .set_created_by(format!("pgtend {}", env!("CARGO_PKG_VERSION")))
        .set_key_value_metadata(Some(vec![version]))
        .set_statistics_enabled(EnabledStatistics::None)
        .set_column_statistics_enabled(ColumnPath::from("sample_time"), EnabledStatistics::Chunk)
        .set_max_row_group_row_count(Some(usize::MAX))
        .set_data_page_row_count_limit(usize::MAX);
    for field in schema.fields() {
        let column = ColumnPath::from(field.name().as_str());
        if field.metadata().contains_key("delta") {
            properties = properties.set_column_dictionary_enabled(column.clone(), false);
            properties = properties.set_column_encoding(column, Encoding::DELTA_BINARY_PACKED);
        } else if matches!(field.data_type(), DataType::Float64) {
            properties = properties.set_column_dictionary_enabled(column.clone(), false);
            properties = properties.set_column_encoding(column, Encoding::BYTE_STREAM_SPLIT);
        }
    }
    Ok(properties.build())
}

/// Reads those of these columns that are there, batch after batch, of the row groups that reach into a stretch of time.
pub(super) fn read(path: &Path, columns: Option<&[&str]>, span_ms: (i64, i64), each: &mut dyn FnMut(&RecordBatch)) -> io::Result<()> {
    let file = Opened::open(path)?;
    for group in file.groups_within(span_ms) {
        for batch in file.batches(group, columns)? {
            each(&batch?);
        }
    }
    Ok(())
}

/// A file that stays readable even when it is removed.
#[derive(Debug)]
pub(super) struct Opened {
    file: Positioned,
    metadata: ArrowReaderMetadata,
}

impl Opened {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let file = Positioned::open(path)?;
        let metadata = ArrowReaderMetadata::load(&file, ArrowReaderOptions::default()).map_err(failed)?;
        Ok(Self { file, metadata })
    }

    /// The row groups that reach into a stretch of time.
    pub(super) fn groups_within(&self, span_ms: (i64, i64)) -> Vec<usize> {
        groups_within(&self.metadata, span_ms)
    }

    /// The first and the last instant of a row group, where the file says so.
    pub(super) fn extent(&self, group: usize) -> Option<(i64, i64)> {
        extent(self.metadata.metadata().row_groups().get(group)?)
    }

    /// Reads those of these columns that are there, of one row group.
    pub(super) fn read(&self, group: usize, columns: Option<&[&str]>) -> io::Result<Vec<RecordBatch>> {
        self.batches(group, columns)?.collect()
    }

    /// The same, of which one batch at a time is in memory.
    pub(super) fn batches(
        &self,
        group: usize,
        columns: Option<&[&str]>,
    ) -> io::Result<impl Iterator<Item = io::Result<RecordBatch>> + use<>> {
        let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(self.file.clone(), self.metadata.clone());
        let mask = columns.map_or_else(ProjectionMask::all, |columns| mask(builder.schema(), builder.parquet_schema(), columns));
        let reader = builder.with_batch_size(BATCH).with_row_groups(vec![group]).with_projection(mask).build().map_err(failed)?;
        Ok(reader.map(|batch| batch.map_err(io::Error::other)))
    }
}

/// Reads a file whole, each of its row groups as one batch.
pub(super) fn read_groups(path: &Path, each: &mut dyn FnMut(RecordBatch) -> io::Result<()>) -> io::Result<()> {
    let Opened { file, metadata } = Opened::open(path)?;
    for (index, group) in metadata.metadata().row_groups().iter().enumerate() {
        let rows = usize::try_from(group.num_rows()).unwrap_or(BATCH).max(1);
        let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(file.clone(), metadata.clone());
        for batch in builder.with_batch_size(rows).with_row_groups(vec![index]).build().map_err(failed)? {
            each(batch.map_err(io::Error::other)?)?;
        }
    }
    Ok(())
}

/// How many rows a file has.
pub(super) fn rows(path: &Path) -> io::Result<usize> {
    let opened = Opened::open(path)?;
    Ok(usize::try_from(opened.metadata.metadata().file_metadata().num_rows()).unwrap_or(0))
}

fn mask(schema: &Schema, parquet: &parquet::schema::types::SchemaDescriptor, columns: &[&str]) -> ProjectionMask {
    let there = columns.iter().filter_map(|column| schema.index_of(column).ok());
    ProjectionMask::roots(parquet, there)
}

/// Row groups by the statistics of the column `sample_time`, in ms.
fn groups_within(metadata: &ArrowReaderMetadata, (from, to): (i64, i64)) -> Vec<usize> {
    let groups = metadata.metadata().row_groups().iter().enumerate();
    let reaches = |group: &RowGroupMetaData| extent(group).is_none_or(|(first, last)| first < to && last >= from);
    groups.filter(|(_, group)| reaches(group)).map(|(index, _)| index).collect()
}

fn extent(group: &RowGroupMetaData) -> Option<(i64, i64)> {
    let at = group.columns().iter().find(|column| column.column_path().string() == "sample_time")?;
    let Statistics::Int64(range) = at.statistics()? else { return None };
    Some((*range.min_opt()?, *range.max_opt()?))
}

pub(super) fn failed(error: ParquetError) -> io::Error {
    match error {
        ParquetError::External(inner) => match inner.downcast::<io::Error>() {
            Ok(io) => *io,
            Err(other) => io::Error::other(other),
        },
        other => io::Error::new(io::ErrorKind::InvalidData, other),
    }
}
