-- The table that an Emperor follows, and the trigger that tells it of changes at once:
--
--   psql -d emperor -f schema.sql
--   emperor --emperor "pg://host=127.0.0.1 user=emperor dbname=emperor;SELECT name,config,ts FROM vassals"
--
-- Without the trigger everything works as well, up to --emperor-freq seconds later.

CREATE TABLE vassals (
    name   text PRIMARY KEY,               -- site.ini, app.yaml ...: the suffix says how config is written
    config text NOT NULL,
    ts     timestamptz NOT NULL DEFAULT now(),
    uid    integer,                        -- with --emperor-tyrant: as whom it runs
    gid    integer,
    socket text                            -- with it the vassal starts at the first connection
);

-- Whoever changes a config need not think of ts: another ts is what reloads a vassal.
CREATE FUNCTION vassals_touch() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.config IS DISTINCT FROM OLD.config AND NEW.ts = OLD.ts THEN
        NEW.ts := clock_timestamp();
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER vassals_touch BEFORE UPDATE ON vassals
    FOR EACH ROW EXECUTE FUNCTION vassals_touch();

-- The payload is the name of the row; an empty one means "look at everything". A thousand changes of
-- one transaction are a thousand short messages, delivered when it commits.
CREATE FUNCTION vassals_notify() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'TRUNCATE' THEN
        PERFORM pg_notify('emperor_vassals', '');
        RETURN NULL;
    END IF;
    IF TG_OP IN ('UPDATE', 'DELETE') THEN
        PERFORM pg_notify('emperor_vassals', OLD.name);
    END IF;
    IF TG_OP = 'INSERT' OR (TG_OP = 'UPDATE' AND NEW.name <> OLD.name) THEN
        PERFORM pg_notify('emperor_vassals', NEW.name);
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER vassals_notify AFTER INSERT OR UPDATE OR DELETE ON vassals
    FOR EACH ROW EXECUTE FUNCTION vassals_notify();

CREATE TRIGGER vassals_notify_truncate AFTER TRUNCATE ON vassals
    FOR EACH STATEMENT EXECUTE FUNCTION vassals_notify();
