-- versions: 18-
select a.pid::int8 as pid, a.backend_start, i.reads, i.read_bytes, i.read_time, i.writes, i.write_bytes, i.write_time, i.hits,
       i.fsyncs, w.wal_records, w.wal_fpi, w.wal_bytes::int8 as wal_bytes
  from pg_catalog.pg_stat_get_activity(null) as a
 cross join lateral (select coalesce(pg_catalog.sum(s.reads), 0)::int8 as reads,
                            coalesce(pg_catalog.sum(s.read_bytes), 0)::int8 as read_bytes,
                            coalesce(pg_catalog.sum(s.read_time), 0) as read_time,
                            coalesce(pg_catalog.sum(coalesce(s.writes, 0) + coalesce(s.extends, 0)), 0)::int8 as writes,
                            coalesce(pg_catalog.sum(coalesce(s.write_bytes, 0) + coalesce(s.extend_bytes, 0)), 0)::int8 as write_bytes,
                            coalesce(pg_catalog.sum(coalesce(s.write_time, 0) + coalesce(s.extend_time, 0)), 0) as write_time,
                            coalesce(pg_catalog.sum(s.hits), 0)::int8 as hits, coalesce(pg_catalog.sum(s.fsyncs), 0)::int8 as fsyncs
                       from pg_catalog.pg_stat_get_backend_io(a.pid) as s
                      where s.object <> 'wal') as i
 cross join lateral pg_catalog.pg_stat_get_backend_wal(a.pid) as w
 where a.state <> 'idle' and a.pid <> pg_catalog.pg_backend_pid() and a.backend_type = 'client backend'
