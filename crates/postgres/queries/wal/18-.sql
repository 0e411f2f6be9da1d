-- versions: 18-
-- Writes and syncs of WAL moved to pg_stat_io; the context init, the filling of new segments, never counted here.
select w.wal_records, w.wal_fpi, w.wal_bytes::int8 as wal_bytes, w.wal_buffers_full, i.wal_write, i.wal_sync, i.wal_write_time,
       i.wal_sync_time, greatest(w.stats_reset, i.stats_reset) as stats_reset
  from pg_catalog.pg_stat_wal as w
 cross join (select coalesce(pg_catalog.sum(s.writes), 0)::int8 as wal_write, coalesce(pg_catalog.sum(s.fsyncs), 0)::int8 as wal_sync,
                    coalesce(pg_catalog.sum(s.write_time), 0) as wal_write_time,
                    coalesce(pg_catalog.sum(s.fsync_time), 0) as wal_sync_time, pg_catalog.max(s.stats_reset) as stats_reset
               from pg_catalog.pg_stat_io as s
              where s.object = 'wal' and s.context = 'normal') as i
