-- versions: 13-
select w.segments, w.size_bytes, w.oldest_at, a.ready_to_archive
  from (select pg_catalog.count(*) as segments, coalesce(pg_catalog.sum(f.size), 0)::int8 as size_bytes,
               pg_catalog.min(f.modification) as oldest_at
          from pg_catalog.pg_ls_waldir() as f
         where f.name ~ '^[0-9A-F]{24}$') as w
 cross join (select pg_catalog.count(*) as ready_to_archive
               from pg_catalog.pg_ls_archive_statusdir() as f
              where f.name like '%.ready') as a
