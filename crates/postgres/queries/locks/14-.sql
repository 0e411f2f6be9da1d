-- versions: 14-
select d.datname::text as datname, g.locktype, g.mode, g.granted, g.fastpath, g.waiting, g.oldest_wait_start
  from (select nullif(l.database, 0) as database, l.locktype, l.mode, pg_catalog.count(*) filter (where l.granted) as granted,
               pg_catalog.count(*) filter (where l.fastpath) as fastpath,
               pg_catalog.count(*) filter (where not l.granted) as waiting,
               pg_catalog.min(l.waitstart) as oldest_wait_start
          from pg_catalog.pg_lock_status() as l
         where l.pid is distinct from pg_catalog.pg_backend_pid()
         group by 1, 2, 3) as g
  left join pg_catalog.pg_database as d on d.oid = g.database
