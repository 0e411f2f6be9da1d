-- versions: 13-
-- extension: pg_stat_statements 1.8-1.8
-- By a subquery: it is hashed, where an array would be gone through for each statement.
select s.userid::int8 as userid, s.dbid::int8 as dbid, s.queryid, pg_catalog.left(s.query, 16384) as query,
       pg_catalog.length(s.query)::int8 as query_length
  from {schema}.pg_stat_statements(true) as s
 where s.queryid in (select pg_catalog.unnest($1::int8[])) and s.query is not null
