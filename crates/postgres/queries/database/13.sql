-- versions: 13-13
select d.datid::int8 as datid, coalesce(d.datname::text, '') as datname, d.numbackends::int8 as numbackends,
       d.xact_commit, d.xact_rollback, d.blks_read, d.blks_hit, d.tup_returned, d.tup_fetched, d.tup_inserted,
       d.tup_updated, d.tup_deleted, d.conflicts, d.temp_files, d.temp_bytes, d.deadlocks, d.checksum_failures,
       d.checksum_last_failure, d.blk_read_time, d.blk_write_time,
       d.stats_reset, c.datconnlimit::int8 as datconnlimit, c.datallowconn, c.datistemplate,
       c.datallowconn and pg_catalog.has_database_privilege(c.oid, 'connect') as connectable,
       pg_catalog.age(c.datfrozenxid)::int8 as frozen_xid_age, pg_catalog.mxid_age(c.datminmxid)::int8 as min_mxid_age
  from pg_catalog.pg_stat_database as d
  left join pg_catalog.pg_database as c on c.oid = d.datid
