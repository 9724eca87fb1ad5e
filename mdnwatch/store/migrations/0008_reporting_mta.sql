-- A report keeps which MTA reported, where it kept whether one did; '' is one whose name is not known.
UPDATE report SET content = json_set(
  content, '$.reporting_mta', CASE json_extract(content, '$.reporting_mta') WHEN 1 THEN '' END
) WHERE outcome <> 'malformed';
