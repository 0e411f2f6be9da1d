-- versions: 13-
-- Reading a last value takes a lock on the sequence to the end of the statement, one entry each in the shared lock table: hence
-- the limit. The most used come first; blocks fetched count the uses.
with s as (
  select c.oid, n.nspname, c.relname, q.*, pg_catalog.has_sequence_privilege(c.oid, 'select,usage') as readable
    from pg_catalog.pg_sequence as q
    join pg_catalog.pg_class as c on c.oid = q.seqrelid
    join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
   where c.relpersistence <> 't' and not (c.relpersistence = 'u' and pg_catalog.pg_is_in_recovery())
), chosen as (
  select s.*, pg_catalog.pg_sequence_last_value(s.oid) as last_value
    from (select s.*
            from s
           where s.readable
           order by s.seqtypid = 'int2'::regtype desc, pg_catalog.pg_stat_get_blocks_fetched(s.oid) desc
           limit 500) as s
), unread as (
  select pg_catalog.count(*) filter (where not s.readable) as denied, pg_catalog.count(*) filter (where s.readable) - 500 as cut from s
)
select pg_catalog.current_database()::text as datname, s.nspname::text as schemaname, s.relname::text as sequencename,
       pg_catalog.format_type(s.seqtypid, null) as data_type, s.seqstart as start_value, s.seqmin as min_value,
       s.seqmax as max_value, s.seqincrement as increment_by, s.seqcycle as is_cycle, s.seqcache as cache_size,
       o.owned_by, s.last_value,
       coalesce(case when s.seqincrement > 0 then s.last_value::float8 - s.seqmin::float8 else s.seqmax::float8 - s.last_value::float8 end
           / nullif(s.seqmax::float8 - s.seqmin::float8, 0), 0) as used_ratio,
       null::text as missing_reason, null::text as missing
  from chosen as s
  left join lateral (select pg_catalog.format('%I.%I', t.relname, a.attname) as owned_by
                       from pg_catalog.pg_depend as d
                       join pg_catalog.pg_class as t on t.oid = d.refobjid
                       join pg_catalog.pg_attribute as a on a.attrelid = d.refobjid and a.attnum = d.refobjsubid
                      where d.classid = 'pg_class'::regclass and d.objid = s.oid and d.refclassid = 'pg_class'::regclass
                        and d.deptype in ('a', 'i')
                      limit 1) as o on true
union all
select null, null, null, null, null, null, null, null, null, null, null, null, null, 'privilege',
       pg_catalog.format('%s sequences of database %I may not be read; run there: GRANT SELECT ON ALL SEQUENCES IN SCHEMA … TO %I',
                         u.denied, pg_catalog.current_database(), current_user)
  from unread as u where u.denied > 0
union all
select null, null, null, null, null, null, null, null, null, null, null, null, null, 'budget',
       pg_catalog.format('%s less used sequences of database %I are left out: each costs a lock', u.cut, pg_catalog.current_database())
  from unread as u where u.cut > 0
