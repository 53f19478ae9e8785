--
-- PostgreSQL database dump
--

\restrict bEc6XSaD90glhf0GbF7QeuF9pwIu7WZsD5147wAMFso3ZFvvRddTQEOmWCkGSdn

-- Dumped from database version 18.6
-- Dumped by pg_dump version 18.6

SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET transaction_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;

SET default_tablespace = '';

SET default_table_access_method = heap;

--
-- Name: alembic_version; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.alembic_version (
    version_num character varying(32) NOT NULL
);


--
-- Name: api_keys; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.api_keys (
    id uuid NOT NULL,
    label character varying(200) NOT NULL,
    prefix character varying(20) NOT NULL,
    sha256 bytea NOT NULL,
    scopes json NOT NULL,
    project_ids json NOT NULL,
    user_id integer NOT NULL,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    expires_at timestamp with time zone,
    revoked_at timestamp with time zone,
    last_used_at timestamp with time zone
);


--
-- Name: audit_log; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.audit_log (
    id uuid NOT NULL,
    project_id integer,
    user_id integer,
    key_prefix character varying(20),
    action character varying(64) NOT NULL,
    subject character varying(64),
    detail json NOT NULL,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL
);


--
-- Name: batch_items; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.batch_items (
    batch_id uuid NOT NULL,
    table_id uuid NOT NULL,
    job_id uuid NOT NULL
);


--
-- Name: batches; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.batches (
    id uuid NOT NULL,
    project_id integer NOT NULL,
    selector json NOT NULL,
    schedule_id uuid,
    expanded_to uuid,
    expanded_at timestamp with time zone,
    cancelled_at timestamp with time zone,
    created_by_id integer,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL
);


--
-- Name: canaries; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.canaries (
    queue character varying(20) NOT NULL,
    id uuid NOT NULL,
    sent_at timestamp with time zone NOT NULL,
    rung_at timestamp with time zone NOT NULL,
    started_at timestamp with time zone,
    worker character varying(200),
    ended_at timestamp with time zone,
    last_ended_at timestamp with time zone
);


--
-- Name: clock_beats; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.clock_beats (
    node character varying(200) NOT NULL,
    ticked_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL
);


--
-- Name: counters; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.counters (
    name character varying(64) NOT NULL,
    label character varying(64) NOT NULL,
    value bigint NOT NULL,
    counted_to timestamp with time zone
);


--
-- Name: credentials; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.credentials (
    id uuid NOT NULL,
    project_id integer NOT NULL,
    key_id character varying(64) NOT NULL,
    ciphertext bytea NOT NULL,
    created_by_id integer,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL
);


--
-- Name: idempotency_keys; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.idempotency_keys (
    project_id integer NOT NULL,
    key character varying(255) NOT NULL,
    fingerprint bytea NOT NULL,
    status integer,
    headers json,
    body json,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    size_bytes integer DEFAULT 0 NOT NULL
);


--
-- Name: job_attempts; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.job_attempts (
    job_id uuid NOT NULL,
    number integer NOT NULL,
    worker character varying(200) NOT NULL,
    started_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    ended_at timestamp with time zone,
    outcome character varying(64),
    detail text
);


--
-- Name: jobs; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.jobs (
    id uuid NOT NULL,
    project_id integer NOT NULL,
    kind character varying(20) NOT NULL,
    queue character varying(20) NOT NULL,
    table_id uuid,
    batch_id uuid,
    upload_id uuid,
    retry_of uuid,
    arguments json NOT NULL,
    created_by_id integer,
    state character varying(20) NOT NULL,
    attempt integer NOT NULL,
    max_attempts integer NOT NULL,
    generation integer,
    next_run_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    rung_at timestamp with time zone,
    rings integer NOT NULL,
    lease_expires_at timestamp with time zone,
    worker character varying(200),
    cancel_requested_at timestamp with time zone,
    progress json,
    result json,
    error json,
    revision integer NOT NULL,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    started_at timestamp with time zone,
    finished_at timestamp with time zone,
    request_id character varying(64),
    yielded_at timestamp with time zone
);


--
-- Name: projects; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.projects (
    id integer NOT NULL,
    uuid uuid NOT NULL,
    name character varying(200) NOT NULL,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL
);


--
-- Name: projects_id_seq; Type: SEQUENCE; Schema: public; Owner: -
--

CREATE SEQUENCE public.projects_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;


--
-- Name: projects_id_seq; Type: SEQUENCE OWNED BY; Schema: public; Owner: -
--

ALTER SEQUENCE public.projects_id_seq OWNED BY public.projects.id;


--
-- Name: schedule_fires; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.schedule_fires (
    schedule_id uuid NOT NULL,
    fire_at timestamp with time zone NOT NULL,
    batch_id uuid NOT NULL,
    fired_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL
);


--
-- Name: schedules; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.schedules (
    id uuid NOT NULL,
    project_id integer NOT NULL,
    name character varying(128) NOT NULL,
    cron character varying(100) NOT NULL,
    timezone character varying(64) NOT NULL,
    jitter_seconds double precision NOT NULL,
    selector json NOT NULL,
    paused boolean NOT NULL,
    next_fire_at timestamp with time zone,
    last_fire_at timestamp with time zone,
    created_by_id integer,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL
);


--
-- Name: schema_versions; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.schema_versions (
    id uuid NOT NULL,
    table_id uuid NOT NULL,
    number integer NOT NULL,
    columns json NOT NULL,
    diff json NOT NULL,
    change character varying(20) NOT NULL,
    source_version json,
    job_id uuid,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL
);


--
-- Name: tables; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.tables (
    id uuid NOT NULL,
    project_id integer NOT NULL,
    name character varying(128) NOT NULL,
    format character varying(20) NOT NULL,
    url_pattern character varying(500) NOT NULL,
    credential_id uuid,
    options json NOT NULL,
    columns json NOT NULL,
    managed boolean NOT NULL,
    upload_id uuid,
    external_data_source json,
    external_schema json,
    created_via character varying(20) NOT NULL,
    created_by_id integer,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    deleted boolean NOT NULL,
    deleted_at timestamp with time zone,
    generation integer NOT NULL,
    source_state json,
    validated_state json,
    source_version json,
    schema_version integer NOT NULL,
    row_count bigint,
    size_bytes bigint,
    last_refreshed_at timestamp with time zone,
    latest_job_id uuid,
    schema_bytes bigint DEFAULT 0 NOT NULL,
    folded_name text DEFAULT ''::text NOT NULL
);


--
-- Name: uploads; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.uploads (
    id uuid NOT NULL,
    project_id integer NOT NULL,
    filename character varying(255) NOT NULL,
    file_format character varying(20),
    object_key character varying(200) NOT NULL,
    state character varying(20) NOT NULL,
    size_bytes bigint,
    created_by_id integer,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    changed_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL
);


--
-- Name: users; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.users (
    id integer NOT NULL,
    uuid uuid NOT NULL,
    first_name character varying(200) NOT NULL,
    last_name character varying(200) NOT NULL,
    email character varying(320) NOT NULL,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL
);


--
-- Name: users_id_seq; Type: SEQUENCE; Schema: public; Owner: -
--

CREATE SEQUENCE public.users_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;


--
-- Name: users_id_seq; Type: SEQUENCE OWNED BY; Schema: public; Owner: -
--

ALTER SEQUENCE public.users_id_seq OWNED BY public.users.id;


--
-- Name: worker_pools; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.worker_pools (
    worker character varying(200) NOT NULL,
    queue character varying(20) NOT NULL,
    places integer NOT NULL,
    project_places integer NOT NULL,
    expires_at timestamp with time zone NOT NULL
);


--
-- Name: projects id; Type: DEFAULT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.projects ALTER COLUMN id SET DEFAULT nextval('public.projects_id_seq'::regclass);


--
-- Name: users id; Type: DEFAULT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.users ALTER COLUMN id SET DEFAULT nextval('public.users_id_seq'::regclass);


--
-- Data for Name: alembic_version; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.alembic_version (version_num) VALUES ('0007');


--
-- Data for Name: api_keys; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.api_keys (id, label, prefix, sha256, scopes, project_ids, user_id, created_at, expires_at, revoked_at, last_used_at) VALUES ('01a22935-09ad-75e6-8624-3872bae82f77', '', 'stk_nu6j2o', '\x443d39d257fa959ef1f218b1eba354fe9cd25dbaab4f943f0db706d4c0d0aedf', '["*"]', '[1]', 2, '2026-11-29 21:27:51.471516+00', NULL, NULL, '2026-11-29 21:29:59.087493+00');


--
-- Data for Name: audit_log; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.audit_log (id, project_id, user_id, key_prefix, action, subject, detail, created_at) VALUES ('01a22935-09d0-7365-b885-86d41e4c488f', 1, NULL, NULL, 'key.create', '01a22935-09ad-75e6-8624-3872bae82f77', '{"prefix": "stk_nu6j2o", "scopes": ["*"]}', '2026-11-29 21:27:51.512077+00');
INSERT INTO public.audit_log (id, project_id, user_id, key_prefix, action, subject, detail, created_at) VALUES ('01a22935-b98f-7361-959e-2d782d6c1a24', 1, 2, 'stk_nu6j2o', 'table.create', '01a22935-b95f-7055-b7fe-ded146519cdd', '{"name": "t_a3fe0df6"}', '2026-11-29 21:28:36.496018+00');
INSERT INTO public.audit_log (id, project_id, user_id, key_prefix, action, subject, detail, created_at) VALUES ('01a22935-bd4c-7777-8db3-571348018080', 1, 2, 'stk_nu6j2o', 'table.create', '01a22935-bce0-74fc-8446-1c86c533069f', '{"name": "t_3c87b941"}', '2026-11-29 21:28:37.452765+00');
INSERT INTO public.audit_log (id, project_id, user_id, key_prefix, action, subject, detail, created_at) VALUES ('01a22935-bff1-7522-b396-2ecf0a14bd60', 1, 2, 'stk_nu6j2o', 'table.create', '01a22935-bfe7-759c-b74e-a9c36772db08', '{"name": "t_40f07b89"}', '2026-11-29 21:28:38.130891+00');
INSERT INTO public.audit_log (id, project_id, user_id, key_prefix, action, subject, detail, created_at) VALUES ('01a22935-c315-7080-9c27-3d872b55064f', 1, 2, 'stk_nu6j2o', 'upload.store', '01a22935-c1f0-7072-861a-db7a31f3c7dd', '{"size_bytes": 62}', '2026-11-29 21:28:38.936237+00');
INSERT INTO public.audit_log (id, project_id, user_id, key_prefix, action, subject, detail, created_at) VALUES ('01a22935-c390-74d0-9527-9ff220eabc98', 1, 2, 'stk_nu6j2o', 'table.create', '01a22935-c34e-7416-bbea-dbb06bcea3b3', '{"name": "ledger"}', '2026-11-29 21:28:39.05896+00');
INSERT INTO public.audit_log (id, project_id, user_id, key_prefix, action, subject, detail, created_at) VALUES ('01a22935-c3e7-72df-960b-d15c71a8fc84', 1, 2, 'stk_nu6j2o', 'table.upload', '01a22935-c34e-7416-bbea-dbb06bcea3b3', '{"upload_id": "01a22935-c1f0-7072-861a-db7a31f3c7dd", "target": "delta"}', '2026-11-29 21:28:39.151435+00');
INSERT INTO public.audit_log (id, project_id, user_id, key_prefix, action, subject, detail, created_at) VALUES ('01a22935-fa8f-7006-81ef-126c1fa41bb8', 1, 2, 'stk_nu6j2o', 'table.rename', '01a22935-b95f-7055-b7fe-ded146519cdd', '{"old": "t_a3fe0df6", "new": "orders"}', '2026-11-29 21:28:53.143307+00');
INSERT INTO public.audit_log (id, project_id, user_id, key_prefix, action, subject, detail, created_at) VALUES ('01a22935-fd4e-718a-b840-b1113216dede', 1, 2, 'stk_nu6j2o', 'table.update_schema', '01a22935-bce0-74fc-8446-1c86c533069f', '{"columns": ["column_0"]}', '2026-11-29 21:28:53.842966+00');
INSERT INTO public.audit_log (id, project_id, user_id, key_prefix, action, subject, detail, created_at) VALUES ('01a22936-00bb-761f-ad14-c0bc16a91d1f', 1, 2, 'stk_nu6j2o', 'batch.create', '01a22936-001c-71cf-85cc-f6e1a05ce864', '{}', '2026-11-29 21:28:54.737567+00');
INSERT INTO public.audit_log (id, project_id, user_id, key_prefix, action, subject, detail, created_at) VALUES ('01a22936-03e6-75fb-8059-e9cb437f824b', 1, 2, 'stk_nu6j2o', 'schedule.create', '01a22936-0370-7185-a835-4aee7b0da426', '{}', '2026-11-29 21:28:55.534573+00');
INSERT INTO public.audit_log (id, project_id, user_id, key_prefix, action, subject, detail, created_at) VALUES ('01a22936-05b0-70aa-93d2-f3dc01130a77', 1, 2, 'stk_nu6j2o', 'schedule.run', '01a22936-0370-7185-a835-4aee7b0da426', '{"batch_id": "01a22936-0527-766a-af3e-612392d89e93"}', '2026-11-29 21:28:55.985119+00');
INSERT INTO public.audit_log (id, project_id, user_id, key_prefix, action, subject, detail, created_at) VALUES ('01a22936-089c-7648-a7a3-1b19afe81468', 1, 2, 'stk_nu6j2o', 'upload.store', '01a22936-079f-719a-9f6f-95d3581f3834', '{"size_bytes": 46}', '2026-11-29 21:28:56.742472+00');
INSERT INTO public.audit_log (id, project_id, user_id, key_prefix, action, subject, detail, created_at) VALUES ('01a22936-0d93-7033-b308-dd5168e4be4b', 1, 2, 'stk_nu6j2o', 'table.upload', '01a22935-c34e-7416-bbea-dbb06bcea3b3', '{"upload_id": "01a22936-079f-719a-9f6f-95d3581f3834", "target": "delta"}', '2026-11-29 21:28:58.025629+00');
INSERT INTO public.audit_log (id, project_id, user_id, key_prefix, action, subject, detail, created_at) VALUES ('01a22936-178f-7090-a702-6bccf927a8f4', 1, 2, 'stk_nu6j2o', 'table.delete', '01a22935-bfe7-759c-b74e-a9c36772db08', '{"name": "t_40f07b89"}', '2026-11-29 21:29:00.566346+00');
INSERT INTO public.audit_log (id, project_id, user_id, key_prefix, action, subject, detail, created_at) VALUES ('01a22936-18dd-7433-8972-7d5c1309a013', 1, 2, 'stk_nu6j2o', 'table.create', '01a22936-18b6-7557-8049-0b688f894c9d', '{"name": "missing"}', '2026-11-29 21:29:00.932738+00');
INSERT INTO public.audit_log (id, project_id, user_id, key_prefix, action, subject, detail, created_at) VALUES ('01a22936-57e7-7485-8eb4-cba2ecdc0b6a', 1, 2, 'stk_nu6j2o', 'table.create', '01a22936-57a0-75d3-adb6-cd53ba21048c', '{"name": "guarded"}', '2026-11-29 21:29:17.043282+00');
INSERT INTO public.audit_log (id, project_id, user_id, key_prefix, action, subject, detail, created_at) VALUES ('01a22936-595d-737b-b75e-04ec08c5ecd8', 1, 2, 'stk_nu6j2o', 'job.cancel', '01a22936-582c-72e4-8bec-bda41152e89a', '{}', '2026-11-29 21:29:17.406275+00');
INSERT INTO public.audit_log (id, project_id, user_id, key_prefix, action, subject, detail, created_at) VALUES ('01a22936-fecb-75ad-9947-89f47f802714', 1, 2, 'stk_nu6j2o', 'upload.store', '01a22936-fdec-7137-a13e-54ced4dde5a7', '{"size_bytes": 78}', '2026-11-29 21:29:59.763292+00');
INSERT INTO public.audit_log (id, project_id, user_id, key_prefix, action, subject, detail, created_at) VALUES ('01a22936-ff6a-713f-b375-9a376eafae7e', 1, 2, 'stk_nu6j2o', 'table.upload', '01a22935-c34e-7416-bbea-dbb06bcea3b3', '{"upload_id": "01a22936-fdec-7137-a13e-54ced4dde5a7", "target": "delta"}', '2026-11-29 21:29:59.930999+00');
INSERT INTO public.audit_log (id, project_id, user_id, key_prefix, action, subject, detail, created_at) VALUES ('01a22937-22d0-77d2-8f06-338e10a63f18', 1, 2, 'stk_nu6j2o', 'upload.store', '01a22937-21eb-7437-b5c5-1d99c85af74c', '{"size_bytes": 94}', '2026-11-29 21:30:08.991509+00');
INSERT INTO public.audit_log (id, project_id, user_id, key_prefix, action, subject, detail, created_at) VALUES ('01a22937-231a-735f-9936-e65ab81bd8b7', 1, 2, 'stk_nu6j2o', 'table.upload', '01a22935-c34e-7416-bbea-dbb06bcea3b3', '{"upload_id": "01a22937-21eb-7437-b5c5-1d99c85af74c", "target": "delta"}', '2026-11-29 21:30:09.071798+00');
INSERT INTO public.audit_log (id, project_id, user_id, key_prefix, action, subject, detail, created_at) VALUES ('01a22937-2457-70b9-a750-40779ea80d20', 1, 2, 'stk_nu6j2o', 'batch.create', '01a22937-241c-7583-9a1b-048fcea2370d', '{}', '2026-11-29 21:30:09.387607+00');


--
-- Data for Name: batch_items; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.batch_items (batch_id, table_id, job_id) VALUES ('01a22936-001c-71cf-85cc-f6e1a05ce864', '01a22935-b95f-7055-b7fe-ded146519cdd', '01a22936-0800-7641-a603-6e98fffdd309');
INSERT INTO public.batch_items (batch_id, table_id, job_id) VALUES ('01a22936-001c-71cf-85cc-f6e1a05ce864', '01a22935-bce0-74fc-8446-1c86c533069f', '01a22936-0800-7641-a603-6e993c626c63');
INSERT INTO public.batch_items (batch_id, table_id, job_id) VALUES ('01a22936-001c-71cf-85cc-f6e1a05ce864', '01a22935-bfe7-759c-b74e-a9c36772db08', '01a22936-0800-7641-a603-6e9af62f117c');
INSERT INTO public.batch_items (batch_id, table_id, job_id) VALUES ('01a22936-001c-71cf-85cc-f6e1a05ce864', '01a22935-c34e-7416-bbea-dbb06bcea3b3', '01a22936-0800-7641-a603-6e9b07147209');
INSERT INTO public.batch_items (batch_id, table_id, job_id) VALUES ('01a22936-0527-766a-af3e-612392d89e93', '01a22935-b95f-7055-b7fe-ded146519cdd', '01a22936-0e32-74ec-8485-715242a0df8f');
INSERT INTO public.batch_items (batch_id, table_id, job_id) VALUES ('01a22936-0527-766a-af3e-612392d89e93', '01a22935-bce0-74fc-8446-1c86c533069f', '01a22936-0800-7641-a603-6e993c626c63');
INSERT INTO public.batch_items (batch_id, table_id, job_id) VALUES ('01a22936-0527-766a-af3e-612392d89e93', '01a22935-bfe7-759c-b74e-a9c36772db08', '01a22936-0800-7641-a603-6e9af62f117c');
INSERT INTO public.batch_items (batch_id, table_id, job_id) VALUES ('01a22936-0527-766a-af3e-612392d89e93', '01a22935-c34e-7416-bbea-dbb06bcea3b3', '01a22936-0800-7641-a603-6e9b07147209');


--
-- Data for Name: batches; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.batches (id, project_id, selector, schedule_id, expanded_to, expanded_at, cancelled_at, created_by_id, created_at) VALUES ('01a22936-001c-71cf-85cc-f6e1a05ce864', 1, '{"all": true}', NULL, NULL, '2026-11-29 21:28:57.472374+00', NULL, 2, '2026-11-29 21:28:54.565168+00');
INSERT INTO public.batches (id, project_id, selector, schedule_id, expanded_to, expanded_at, cancelled_at, created_by_id, created_at) VALUES ('01a22936-0527-766a-af3e-612392d89e93', 1, '{"all": true}', '01a22936-0370-7185-a835-4aee7b0da426', NULL, '2026-11-29 21:28:58.896115+00', NULL, 2, '2026-11-29 21:28:55.849512+00');
INSERT INTO public.batches (id, project_id, selector, schedule_id, expanded_to, expanded_at, cancelled_at, created_by_id, created_at) VALUES ('01a22937-241c-7583-9a1b-048fcea2370d', 1, '{"all": true}', NULL, NULL, NULL, NULL, 2, '2026-11-29 21:30:09.308809+00');


--
-- Data for Name: canaries; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.canaries (queue, id, sent_at, rung_at, started_at, worker, ended_at, last_ended_at) VALUES ('interactive', '01a22936-3035-71ad-a87d-aba8836b357e', '2026-11-29 21:29:06.90733+00', '2026-11-29 21:29:06.90733+00', '2026-11-29 21:30:00.963085+00', 'worker-9706ac49@test/30a314/11901', '2026-11-29 21:30:01.311082+00', '2026-11-29 21:30:01.311082+00');


--
-- Data for Name: clock_beats; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.clock_beats (node, ticked_at) VALUES ('vm/9361', '2026-11-29 21:29:17.648498+00');


--
-- Data for Name: counters; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.counters (name, label, value, counted_to) VALUES ('attempts', 'succeeded', 13, NULL);
INSERT INTO public.counters (name, label, value, counted_to) VALUES ('attempts_tallied', '', 0, '2026-11-29 21:29:03.296168+00');


--
-- Data for Name: credentials; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.credentials (id, project_id, key_id, ciphertext, created_by_id, created_at) VALUES ('01a22936-57b6-7672-a91f-53593107c0b6', 1, 'recorded', '\xb12f6f86611affa3a412604edc25fb548b5483ea7aa38f62ff337a318a2b25278cf426e0453b968d0991a33440ce90388f4cc3e4', 2, '2026-11-29 21:29:17.011813+00');


--
-- Data for Name: idempotency_keys; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.idempotency_keys (project_id, key, fingerprint, status, headers, body, created_at, size_bytes) VALUES (1, 'mo3psR0w-kDJqWTv', '\xb610ebcc6e9a4a03ac9d7e2a5d78a925b8bde4c20bbd4b4feba97451985e65e1', 201, '{"Location": "/api/projects/1/jobs/01a22935-ba3f-70a0-a09a-e275d88164fc/", "Retry-After": "1"}', '{"status": 201, "body": {"id": "01a22935-b95f-7055-b7fe-ded146519cdd", "deleted": false, "name": "t_a3fe0df6", "hogql_name": "t_a3fe0df6", "format": "Delta", "created_by": {"id": 2, "uuid": "01a22935-096a-7734-aa51-ee6019fbaae2", "distinct_id": null, "first_name": "Operator", "last_name": "", "email": "operator@stocktake.invalid", "is_email_verified": true, "hedgehog_config": null, "role_at_organization": null}, "created_at": "2026-11-29T21:28:36.455532Z", "created_via": "api", "url_pattern": "file:///@FOLDER@/sources/delta", "credential": null, "columns": [], "external_data_source": null, "external_schema": null, "options": {"delta_count": true}, "user_access_level": "editor", "row_count": null, "size_bytes": null, "source_version": null, "schema_version": 0, "last_refreshed_at": null, "latest_job": {"id": "01a22935-ba3f-70a0-a09a-e275d88164fc", "kind": "refresh_schema", "state": "queued", "done": false, "error": null, "created_at": "2026-11-29T21:28:36.730952Z", "finished_at": null}}}', '2026-11-29 21:28:36.381226+00', 959);
INSERT INTO public.idempotency_keys (project_id, key, fingerprint, status, headers, body, created_at, size_bytes) VALUES (1, 'zycyDPGZWimtwaAB', '\xac31edbc5c3cf9128c226f2c386f4f7147170ba784b814a15e8c2dbc7cf194ae', 201, '{"Location": "/api/projects/1/jobs/01a22935-be1d-706f-addb-44b20ff9c16c/", "Retry-After": "1"}', '{"status": 201, "body": {"id": "01a22935-bce0-74fc-8446-1c86c533069f", "deleted": false, "name": "t_3c87b941", "hogql_name": "t_3c87b941", "format": "CSVWithNames", "created_by": {"id": 2, "uuid": "01a22935-096a-7734-aa51-ee6019fbaae2", "distinct_id": null, "first_name": "Operator", "last_name": "", "email": "operator@stocktake.invalid", "is_email_verified": true, "hedgehog_config": null, "role_at_organization": null}, "created_at": "2026-11-29T21:28:37.404807Z", "created_via": "api", "url_pattern": "file:///@FOLDER@/sources/numbers.csv", "credential": null, "columns": [], "external_data_source": null, "external_schema": null, "options": {}, "user_access_level": "editor", "row_count": null, "size_bytes": null, "source_version": null, "schema_version": 0, "last_refreshed_at": null, "latest_job": {"id": "01a22935-be1d-706f-addb-44b20ff9c16c", "kind": "refresh_schema", "state": "queued", "done": false, "error": null, "created_at": "2026-11-29T21:28:37.670717Z", "finished_at": null}}}', '2026-11-29 21:28:37.227206+00', 954);
INSERT INTO public.idempotency_keys (project_id, key, fingerprint, status, headers, body, created_at, size_bytes) VALUES (1, 'OS6qcCYMC3ICdnrp', '\xf178e1b448e38034380755be18c2a226674cdfbf09c252aa69351bbba3370453', 201, '{"Location": "/api/projects/1/jobs/01a22935-c02d-73d5-916c-0c53983cdbcc/", "Retry-After": "1"}', '{"status": 201, "body": {"id": "01a22935-bfe7-759c-b74e-a9c36772db08", "deleted": false, "name": "t_40f07b89", "hogql_name": "t_40f07b89", "format": "Delta", "created_by": {"id": 2, "uuid": "01a22935-096a-7734-aa51-ee6019fbaae2", "distinct_id": null, "first_name": "Operator", "last_name": "", "email": "operator@stocktake.invalid", "is_email_verified": true, "hedgehog_config": null, "role_at_organization": null}, "created_at": "2026-11-29T21:28:38.121260Z", "created_via": "api", "url_pattern": "file:///@FOLDER@/sources/delta", "credential": null, "columns": [], "external_data_source": null, "external_schema": null, "options": {"delta_count": true}, "user_access_level": "editor", "row_count": null, "size_bytes": null, "source_version": null, "schema_version": 0, "last_refreshed_at": null, "latest_job": {"id": "01a22935-c02d-73d5-916c-0c53983cdbcc", "kind": "refresh_schema", "state": "queued", "done": false, "error": null, "created_at": "2026-11-29T21:28:38.203716Z", "finished_at": null}}}', '2026-11-29 21:28:38.037934+00', 959);
INSERT INTO public.idempotency_keys (project_id, key, fingerprint, status, headers, body, created_at, size_bytes) VALUES (1, 'mKuqFGSR3uUpIAY6', '\xa43fb1a4eb21d004ee6e30c328c9dda2cb59473435efd64000026117f7a6f711', 201, '{"Location": "/api/projects/1/jobs/01a22935-c3ce-70a3-95b3-f1c23d916d51/", "Retry-After": "1"}', '{"status": 201, "body": {"id": "01a22935-c34e-7416-bbea-dbb06bcea3b3", "deleted": false, "name": "ledger", "hogql_name": "ledger", "format": "Delta", "created_by": {"id": 2, "uuid": "01a22935-096a-7734-aa51-ee6019fbaae2", "distinct_id": null, "first_name": "Operator", "last_name": "", "email": "operator@stocktake.invalid", "is_email_verified": true, "hedgehog_config": null, "role_at_organization": null}, "created_at": "2026-11-29T21:28:39.029696Z", "created_via": "api", "url_pattern": "managed:///delta/1/01a22935-c34e-7416-bbea-dbb06bcea3b3", "credential": null, "columns": [], "external_data_source": null, "external_schema": null, "options": {}, "user_access_level": "editor", "row_count": null, "size_bytes": null, "source_version": null, "schema_version": 0, "last_refreshed_at": null, "latest_job": {"id": "01a22935-c3ce-70a3-95b3-f1c23d916d51", "kind": "ingest_file", "state": "queued", "done": false, "error": null, "created_at": "2026-11-29T21:28:39.126225Z", "finished_at": null}}}', '2026-11-29 21:28:38.8661+00', 922);
INSERT INTO public.idempotency_keys (project_id, key, fingerprint, status, headers, body, created_at, size_bytes) VALUES (1, 'tOOCxNne0fBCoWHo', '\x1cb1e50e74fdd0f5b6c42e22606faee71bba421deeea70324bc56af2757e6a3c', 200, '{}', '{"status": 200, "body": {"id": "01a22935-bce0-74fc-8446-1c86c533069f", "deleted": false, "name": "t_3c87b941", "hogql_name": "t_3c87b941", "format": "CSVWithNames", "created_by": {"id": 2, "uuid": "01a22935-096a-7734-aa51-ee6019fbaae2", "distinct_id": null, "first_name": "Operator", "last_name": "", "email": "operator@stocktake.invalid", "is_email_verified": true, "hedgehog_config": null, "role_at_organization": null}, "created_at": "2026-11-29T21:28:37.404807Z", "created_via": "api", "url_pattern": "file:///@FOLDER@/sources/numbers.csv", "credential": null, "columns": [{"key": "column_0", "name": "column_0", "type": "string", "schema_valid": true, "fields": null, "table": null, "chain": null}], "external_data_source": null, "external_schema": null, "options": {}, "user_access_level": "editor", "row_count": 20, "size_bytes": 59, "source_version": "831bb128dcd7def2", "schema_version": 2, "last_refreshed_at": "2026-11-29T21:28:40.733389Z", "latest_job": {"id": "01a22935-be1d-706f-addb-44b20ff9c16c", "kind": "refresh_schema", "state": "succeeded", "done": true, "error": null, "created_at": "2026-11-29T21:28:37.670717Z", "finished_at": "2026-11-29T21:28:42.103086Z"}}}', '2026-11-29 21:28:53.501394+00', 1128);
INSERT INTO public.idempotency_keys (project_id, key, fingerprint, status, headers, body, created_at, size_bytes) VALUES (1, 'KhZMB-Oza6jdD11d', '\x7d245960c8b3ec3bde19c009827063a6dbfb426a69255969eec6920fb9c26b79', 202, '{"Location": "/api/projects/1/jobs/01a22935-fecb-7484-a865-9971be7b9677/", "Retry-After": "1"}', '{"status": 202, "body": {"id": "01a22935-fecb-7484-a865-9971be7b9677", "kind": "refresh_schema", "table_id": "01a22935-b95f-7055-b7fe-ded146519cdd", "batch_id": null, "state": "queued", "done": false, "attempt": 0, "max_attempts": 5, "next_run_at": "2026-11-29T21:28:54.224289Z", "deduplicated": false, "progress": null, "result": null, "error": null, "created_at": "2026-11-29T21:28:54.224290Z", "started_at": null, "finished_at": null}}', '2026-11-29 21:28:54.105028+00', 404);
INSERT INTO public.idempotency_keys (project_id, key, fingerprint, status, headers, body, created_at, size_bytes) VALUES (1, 'gkmPsctMg49YRSyp', '\xa227138b75dbf2de87b590e57c0ed41a3dafcdb1269ed98c0ad9eb32ddac4355', 202, '{"Location": "/api/projects/1/batches/01a22936-001c-71cf-85cc-f6e1a05ce864/", "Retry-After": "1"}', '{"status": 202, "body": {"id": "01a22936-001c-71cf-85cc-f6e1a05ce864", "state": "expanding", "done": false, "selector": {"all": true}, "schedule_id": null, "expand_job_id": "01a22936-008f-7545-8d54-e3a58cc0f7cb", "total": 0, "counts": {"queued": 0, "running": 0, "succeeded": 0, "failed": 0, "cancelled": 0}, "deduplicated": 0, "finished_share": 0.0, "errors": [], "created_at": "2026-11-29T21:28:54.565168Z", "expanded_at": null, "cancelled_at": null}}', '2026-11-29 21:28:54.531812+00', 413);
INSERT INTO public.idempotency_keys (project_id, key, fingerprint, status, headers, body, created_at, size_bytes) VALUES (1, 'RFv54F5EixTiEf0i', '\x2fc99f341f1ec33530629671d0b7e828b877ea91af84119d43bc73ffc364fb72', 201, '{}', '{"status": 201, "body": {"id": "01a22936-0370-7185-a835-4aee7b0da426", "name": "yearly", "cron": "0 0 1 1 *", "timezone": "UTC", "jitter_seconds": 0.0, "selector": {"all": true}, "paused": false, "next_fire_at": "2027-01-01T00:00:00Z", "last_fire_at": null, "created_at": "2026-11-29T21:28:55.409474Z"}}', '2026-11-29 21:28:55.171117+00', 280);
INSERT INTO public.idempotency_keys (project_id, key, fingerprint, status, headers, body, created_at, size_bytes) VALUES (1, 'w-c3JwxAvcW-GnIb', '\x032570ab8892868273d255d4f26ac83d52232a87eeec1246ab93a77b275b3431', 202, '{"Location": "/api/projects/1/batches/01a22936-0527-766a-af3e-612392d89e93/", "Retry-After": "1"}', '{"status": 202, "body": {"id": "01a22936-0527-766a-af3e-612392d89e93", "state": "expanding", "done": false, "selector": {"all": true}, "schedule_id": "01a22936-0370-7185-a835-4aee7b0da426", "expand_job_id": "01a22936-0580-75bd-abda-838dd0fa8f28", "total": 0, "counts": {"queued": 0, "running": 0, "succeeded": 0, "failed": 0, "cancelled": 0}, "deduplicated": 0, "finished_share": 0.0, "errors": [], "created_at": "2026-11-29T21:28:55.849512Z", "expanded_at": null, "cancelled_at": null}}', '2026-11-29 21:28:55.767301+00', 447);
INSERT INTO public.idempotency_keys (project_id, key, fingerprint, status, headers, body, created_at, size_bytes) VALUES (1, 'AMfZxrrJnOhqceEc', '\x17f21df92196d95f5469dadbdae25145a937e8d3433c6c53607fbe8aaa747911', 201, '{"Location": "/api/projects/1/jobs/01a22936-0d69-7707-8d73-f34c2fd060eb/", "Retry-After": "1"}', '{"status": 201, "body": {"id": "01a22935-c34e-7416-bbea-dbb06bcea3b3", "deleted": false, "name": "ledger", "hogql_name": "ledger", "format": "Delta", "created_by": {"id": 2, "uuid": "01a22935-096a-7734-aa51-ee6019fbaae2", "distinct_id": null, "first_name": "Operator", "last_name": "", "email": "operator@stocktake.invalid", "is_email_verified": true, "hedgehog_config": null, "role_at_organization": null}, "created_at": "2026-11-29T21:28:39.029696Z", "created_via": "api", "url_pattern": "managed:///delta/1/01a22935-c34e-7416-bbea-dbb06bcea3b3", "credential": null, "columns": [{"key": "marker", "name": "marker", "type": "string", "schema_valid": true, "fields": null, "table": null, "chain": null}, {"key": "number", "name": "number", "type": "integer", "schema_valid": true, "fields": null, "table": null, "chain": null}], "external_data_source": null, "external_schema": null, "options": {}, "user_access_level": "editor", "row_count": 3, "size_bytes": null, "source_version": 1, "schema_version": 1, "last_refreshed_at": "2026-11-29T21:28:52.335879Z", "latest_job": {"id": "01a22936-0d69-7707-8d73-f34c2fd060eb", "kind": "ingest_file", "state": "queued", "done": false, "error": null, "created_at": "2026-11-29T21:28:57.991394Z", "finished_at": null}}}', '2026-11-29 21:28:56.68101+00', 1159);
INSERT INTO public.idempotency_keys (project_id, key, fingerprint, status, headers, body, created_at, size_bytes) VALUES (1, '2RoZBLQNGM4P4_pk', '\x7d245960c8b3ec3bde19c009827063a6dbfb426a69255969eec6920fb9c26b79', 202, '{"Location": "/api/projects/1/jobs/01a22937-1f47-7731-934c-090f1ce013f5/", "Retry-After": "1"}', '{"status": 202, "body": {"id": "01a22937-1f47-7731-934c-090f1ce013f5", "kind": "refresh_schema", "table_id": "01a22935-b95f-7055-b7fe-ded146519cdd", "batch_id": null, "state": "queued", "done": false, "attempt": 0, "max_attempts": 5, "next_run_at": "2026-11-29T21:30:08.073131Z", "deduplicated": false, "progress": null, "result": null, "error": null, "created_at": "2026-11-29T21:30:08.073131Z", "started_at": null, "finished_at": null}}', '2026-11-29 21:30:08.027351+00', 404);
INSERT INTO public.idempotency_keys (project_id, key, fingerprint, status, headers, body, created_at, size_bytes) VALUES (1, '-OwWv_HtLu82F3tW', '\x31c9c94fe1ca9e5e30a491057b466986c864b73daabbbe6bb55734df943c1e4f', 202, '{"Location": "/api/projects/1/jobs/01a22937-20aa-7769-a9c6-beb6e17fb99c/", "Retry-After": "1"}', '{"status": 202, "body": {"id": "01a22937-20aa-7769-a9c6-beb6e17fb99c", "kind": "refresh_schema", "table_id": "01a22935-bce0-74fc-8446-1c86c533069f", "batch_id": null, "state": "queued", "done": false, "attempt": 0, "max_attempts": 5, "next_run_at": "2026-11-29T21:30:08.465742Z", "deduplicated": false, "progress": null, "result": null, "error": null, "created_at": "2026-11-29T21:30:08.465743Z", "started_at": null, "finished_at": null}}', '2026-11-29 21:30:08.376013+00', 404);
INSERT INTO public.idempotency_keys (project_id, key, fingerprint, status, headers, body, created_at, size_bytes) VALUES (1, 'sSglkTsLmpflMIII', '\x3f6a303e1c5d184532acda9b816fe557d5f9364b2823b8d60c3b347a8f170b58', 201, '{"Location": "/api/projects/1/jobs/01a22937-2304-731b-802c-1ba97c4cadd0/", "Retry-After": "1"}', '{"status": 201, "body": {"id": "01a22935-c34e-7416-bbea-dbb06bcea3b3", "deleted": false, "name": "ledger", "hogql_name": "ledger", "format": "Delta", "created_by": {"id": 2, "uuid": "01a22935-096a-7734-aa51-ee6019fbaae2", "distinct_id": null, "first_name": "Operator", "last_name": "", "email": "operator@stocktake.invalid", "is_email_verified": true, "hedgehog_config": null, "role_at_organization": null}, "created_at": "2026-11-29T21:28:39.029696Z", "created_via": "api", "url_pattern": "managed:///delta/1/01a22935-c34e-7416-bbea-dbb06bcea3b3", "credential": null, "columns": [{"key": "marker", "name": "marker", "type": "string", "schema_valid": true, "fields": null, "table": null, "chain": null}, {"key": "number", "name": "number", "type": "integer", "schema_valid": true, "fields": null, "table": null, "chain": null}], "external_data_source": null, "external_schema": null, "options": {}, "user_access_level": "editor", "row_count": null, "size_bytes": null, "source_version": 2, "schema_version": 1, "last_refreshed_at": "2026-11-29T21:29:02.362510Z", "latest_job": {"id": "01a22937-2304-731b-802c-1ba97c4cadd0", "kind": "ingest_file", "state": "queued", "done": false, "error": null, "created_at": "2026-11-29T21:30:09.029987Z", "finished_at": null}}}', '2026-11-29 21:30:08.938907+00', 1162);
INSERT INTO public.idempotency_keys (project_id, key, fingerprint, status, headers, body, created_at, size_bytes) VALUES (1, 'XSFwGdUVz6C6FH_r', '\x918e430ac99900828ec9463c602a6f548899ae49b3370d1aaeac306338d2aae2', 201, '{"Location": "/api/projects/1/jobs/01a22936-1949-75a6-aff0-6243d513b54c/", "Retry-After": "1"}', '{"status": 201, "body": {"id": "01a22936-18b6-7557-8049-0b688f894c9d", "deleted": false, "name": "missing", "hogql_name": "missing", "format": "Parquet", "created_by": {"id": 2, "uuid": "01a22935-096a-7734-aa51-ee6019fbaae2", "distinct_id": null, "first_name": "Operator", "last_name": "", "email": "operator@stocktake.invalid", "is_email_verified": true, "hedgehog_config": null, "role_at_organization": null}, "created_at": "2026-11-29T21:29:00.862992Z", "created_via": "api", "url_pattern": "file:///@FOLDER@/sources/missing/*.parquet", "credential": null, "columns": [], "external_data_source": null, "external_schema": null, "options": {}, "user_access_level": "editor", "row_count": null, "size_bytes": null, "source_version": null, "schema_version": 0, "last_refreshed_at": null, "latest_job": {"id": "01a22936-1949-75a6-aff0-6243d513b54c", "kind": "refresh_schema", "state": "queued", "done": false, "error": null, "created_at": "2026-11-29T21:29:01.022390Z", "finished_at": null}}}', '2026-11-29 21:29:00.762897+00', 949);
INSERT INTO public.idempotency_keys (project_id, key, fingerprint, status, headers, body, created_at, size_bytes) VALUES (1, 'ctRJyPFuwEhe5S6w', '\x4cc043873c6ac7bead8cc6bcae25556a9773b382d8ff0c6056cb6b75f3f293f2', 201, '{"Location": "/api/projects/1/jobs/01a22936-582c-72e4-8bec-bda41152e89a/", "Retry-After": "1"}', '{"status": 201, "body": {"id": "01a22936-57a0-75d3-adb6-cd53ba21048c", "deleted": false, "name": "guarded", "hogql_name": "guarded", "format": "Parquet", "created_by": {"id": 2, "uuid": "01a22935-096a-7734-aa51-ee6019fbaae2", "distinct_id": null, "first_name": "Operator", "last_name": "", "email": "operator@stocktake.invalid", "is_email_verified": true, "hedgehog_config": null, "role_at_organization": null}, "created_at": "2026-11-29T21:29:16.965627Z", "created_via": "api", "url_pattern": "http://127.0.0.1:9/bucket/*.parquet", "credential": {"id": "01a22936-57b6-7672-a91f-53593107c0b6", "created_by": null, "created_at": "2026-11-29T21:29:17.011813Z"}, "columns": [], "external_data_source": null, "external_schema": null, "options": {}, "user_access_level": "editor", "row_count": null, "size_bytes": null, "source_version": null, "schema_version": 0, "last_refreshed_at": null, "latest_job": {"id": "01a22936-582c-72e4-8bec-bda41152e89a", "kind": "refresh_schema", "state": "queued", "done": false, "error": null, "created_at": "2026-11-29T21:29:17.121057Z", "finished_at": null}}}', '2026-11-29 21:29:16.887128+00', 1011);
INSERT INTO public.idempotency_keys (project_id, key, fingerprint, status, headers, body, created_at, size_bytes) VALUES (1, 'AIV6MSGzo9dhxrJt', '\x322c2ce82bbe2e765a7e9bb10c2f54c3b9351bcc68b7e9d37328d01750c32663', 202, '{"Location": "/api/projects/1/jobs/01a22936-582c-72e4-8bec-bda41152e89a/", "Retry-After": "1"}', '{"status": 202, "body": {"id": "01a22936-582c-72e4-8bec-bda41152e89a", "kind": "refresh_schema", "table_id": "01a22936-57a0-75d3-adb6-cd53ba21048c", "batch_id": null, "state": "cancelled", "done": true, "attempt": 0, "max_attempts": 5, "next_run_at": "2026-11-29T21:29:17.121057Z", "deduplicated": false, "progress": null, "result": null, "error": {"code": "cancelled", "retryable": false, "detail": "The job was cancelled.", "hint": null, "file": null}, "created_at": "2026-11-29T21:29:17.121057Z", "started_at": null, "finished_at": "2026-11-29T21:29:17.356805Z"}}', '2026-11-29 21:29:17.294725+00', 523);
INSERT INTO public.idempotency_keys (project_id, key, fingerprint, status, headers, body, created_at, size_bytes) VALUES (1, 'gsva2cp1Ou2E0tRQ', '\x7d245960c8b3ec3bde19c009827063a6dbfb426a69255969eec6920fb9c26b79', 202, '{"Location": "/api/projects/1/jobs/01a22936-fce1-701a-81d6-27b12dfa100a/", "Retry-After": "1"}', '{"status": 202, "body": {"id": "01a22936-fce1-701a-81d6-27b12dfa100a", "kind": "refresh_schema", "table_id": "01a22935-b95f-7055-b7fe-ded146519cdd", "batch_id": null, "state": "queued", "done": false, "attempt": 0, "max_attempts": 5, "next_run_at": "2026-11-29T21:29:59.285094Z", "deduplicated": false, "progress": null, "result": null, "error": null, "created_at": "2026-11-29T21:29:59.285094Z", "started_at": null, "finished_at": null}}', '2026-11-29 21:29:59.124835+00', 404);
INSERT INTO public.idempotency_keys (project_id, key, fingerprint, status, headers, body, created_at, size_bytes) VALUES (1, 'xd0mj3Hk4Z7u2pRg', '\x5ccce3284b0431f763f4a3d150b1cec47954216074839c44b4286928d58eab6b', 201, '{"Location": "/api/projects/1/jobs/01a22936-ff3b-727c-b16b-4aa2cdb361e4/", "Retry-After": "1"}', '{"status": 201, "body": {"id": "01a22935-c34e-7416-bbea-dbb06bcea3b3", "deleted": false, "name": "ledger", "hogql_name": "ledger", "format": "Delta", "created_by": {"id": 2, "uuid": "01a22935-096a-7734-aa51-ee6019fbaae2", "distinct_id": null, "first_name": "Operator", "last_name": "", "email": "operator@stocktake.invalid", "is_email_verified": true, "hedgehog_config": null, "role_at_organization": null}, "created_at": "2026-11-29T21:28:39.029696Z", "created_via": "api", "url_pattern": "managed:///delta/1/01a22935-c34e-7416-bbea-dbb06bcea3b3", "credential": null, "columns": [{"key": "marker", "name": "marker", "type": "string", "schema_valid": true, "fields": null, "table": null, "chain": null}, {"key": "number", "name": "number", "type": "integer", "schema_valid": true, "fields": null, "table": null, "chain": null}], "external_data_source": null, "external_schema": null, "options": {}, "user_access_level": "editor", "row_count": null, "size_bytes": null, "source_version": 2, "schema_version": 1, "last_refreshed_at": "2026-11-29T21:29:02.362510Z", "latest_job": {"id": "01a22936-ff3b-727c-b16b-4aa2cdb361e4", "kind": "ingest_file", "state": "queued", "done": false, "error": null, "created_at": "2026-11-29T21:29:59.884911Z", "finished_at": null}}}', '2026-11-29 21:29:59.715106+00', 1162);
INSERT INTO public.idempotency_keys (project_id, key, fingerprint, status, headers, body, created_at, size_bytes) VALUES (1, '0N3SNrt6-uxYQtHo', '\xa227138b75dbf2de87b590e57c0ed41a3dafcdb1269ed98c0ad9eb32ddac4355', 202, '{"Location": "/api/projects/1/batches/01a22937-241c-7583-9a1b-048fcea2370d/", "Retry-After": "1"}', '{"status": 202, "body": {"id": "01a22937-241c-7583-9a1b-048fcea2370d", "state": "expanding", "done": false, "selector": {"all": true}, "schedule_id": null, "expand_job_id": "01a22937-2447-72ad-b5c3-b3f0e9ec1a00", "total": 0, "counts": {"queued": 0, "running": 0, "succeeded": 0, "failed": 0, "cancelled": 0}, "deduplicated": 0, "finished_share": 0.0, "errors": [], "created_at": "2026-11-29T21:30:09.308809Z", "expanded_at": null, "cancelled_at": null}}', '2026-11-29 21:30:09.29044+00', 413);
INSERT INTO public.idempotency_keys (project_id, key, fingerprint, status, headers, body, created_at, size_bytes) VALUES (1, 'DnqGhHjECdAxvAF6', '\x31c9c94fe1ca9e5e30a491057b466986c864b73daabbbe6bb55734df943c1e4f', 202, '{"Location": "/api/projects/1/jobs/01a22937-20aa-7769-a9c6-beb6e17fb99c/", "Retry-After": "1"}', '{"status": 202, "body": {"id": "01a22937-20aa-7769-a9c6-beb6e17fb99c", "kind": "refresh_schema", "table_id": "01a22935-bce0-74fc-8446-1c86c533069f", "batch_id": null, "state": "queued", "done": false, "attempt": 0, "max_attempts": 5, "next_run_at": "2026-11-29T21:30:08.465742Z", "deduplicated": true, "progress": null, "result": null, "error": null, "created_at": "2026-11-29T21:30:08.465743Z", "started_at": null, "finished_at": null}}', '2026-11-29 21:30:09.695139+00', 403);


--
-- Data for Name: job_attempts; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.job_attempts (job_id, number, worker, started_at, ended_at, outcome, detail) VALUES ('01a22935-ba3f-70a0-a09a-e275d88164fc', 1, 'worker-fbc9610c@test/933fbd/9281', '2026-11-29 21:28:38.702996+00', '2026-11-29 21:28:40.149606+00', 'succeeded', NULL);
INSERT INTO public.job_attempts (job_id, number, worker, started_at, ended_at, outcome, detail) VALUES ('01a22935-be1d-706f-addb-44b20ff9c16c', 1, 'worker-fbc9610c@test/933fbd/8835', '2026-11-29 21:28:39.730998+00', '2026-11-29 21:28:42.194498+00', 'succeeded', NULL);
INSERT INTO public.job_attempts (job_id, number, worker, started_at, ended_at, outcome, detail) VALUES ('01a22935-c02d-73d5-916c-0c53983cdbcc', 1, 'worker-fbc9610c@test/933fbd/9281', '2026-11-29 21:28:44.89083+00', '2026-11-29 21:28:45.933706+00', 'succeeded', NULL);
INSERT INTO public.job_attempts (job_id, number, worker, started_at, ended_at, outcome, detail) VALUES ('01a22935-cee2-75f5-b9ad-8c6e5ced4e64', 1, 'worker-fbc9610c@test/933fbd/8835', '2026-11-29 21:28:46.195961+00', '2026-11-29 21:28:46.836299+00', 'succeeded', NULL);
INSERT INTO public.job_attempts (job_id, number, worker, started_at, ended_at, outcome, detail) VALUES ('01a22935-c3ce-70a3-95b3-f1c23d916d51', 1, 'worker-fbc9610c@test/933fbd/9083', '2026-11-29 21:28:45.116209+00', '2026-11-29 21:28:52.444777+00', 'succeeded', NULL);
INSERT INTO public.job_attempts (job_id, number, worker, started_at, ended_at, outcome, detail) VALUES ('01a22935-fd40-72be-94f9-dcab5f88eb86', 1, 'worker-fbc9610c@test/933fbd/8835', '2026-11-29 21:28:54.27986+00', '2026-11-29 21:28:54.7402+00', 'succeeded', NULL);
INSERT INTO public.job_attempts (job_id, number, worker, started_at, ended_at, outcome, detail) VALUES ('01a22935-fecb-7484-a865-9971be7b9677', 1, 'worker-fbc9610c@test/933fbd/9281', '2026-11-29 21:28:54.854893+00', '2026-11-29 21:28:55.250359+00', 'succeeded', NULL);
INSERT INTO public.job_attempts (job_id, number, worker, started_at, ended_at, outcome, detail) VALUES ('01a22936-008f-7545-8d54-e3a58cc0f7cb', 1, 'worker-fbc9610c@test/933fbd/8835', '2026-11-29 21:28:56.221757+00', '2026-11-29 21:28:57.650328+00', 'succeeded', NULL);
INSERT INTO public.job_attempts (job_id, number, worker, started_at, ended_at, outcome, detail) VALUES ('01a22936-0580-75bd-abda-838dd0fa8f28', 1, 'worker-fbc9610c@test/933fbd/9281', '2026-11-29 21:28:56.716001+00', '2026-11-29 21:28:59.053537+00', 'succeeded', NULL);
INSERT INTO public.job_attempts (job_id, number, worker, started_at, ended_at, outcome, detail) VALUES ('01a22936-0800-7641-a603-6e98fffdd309', 1, 'worker-fbc9610c@test/933fbd/8835', '2026-11-29 21:28:58.432584+00', '2026-11-29 21:28:59.29351+00', 'succeeded', NULL);
INSERT INTO public.job_attempts (job_id, number, worker, started_at, ended_at, outcome, detail) VALUES ('01a22936-0d69-7707-8d73-f34c2fd060eb', 1, 'worker-fbc9610c@test/933fbd/9083', '2026-11-29 21:29:00.171434+00', '2026-11-29 21:29:00.667913+00', 'succeeded', NULL);
INSERT INTO public.job_attempts (job_id, number, worker, started_at, ended_at, outcome, detail) VALUES ('01a22936-0e32-74ec-8485-715242a0df8f', 1, 'worker-fbc9610c@test/933fbd/9281', '2026-11-29 21:29:00.477333+00', '2026-11-29 21:29:00.98652+00', 'succeeded', NULL);
INSERT INTO public.job_attempts (job_id, number, worker, started_at, ended_at, outcome, detail) VALUES ('01a22936-0800-7641-a603-6e9b07147209', 1, 'worker-fbc9610c@test/933fbd/8835', '2026-11-29 21:29:01.402746+00', '2026-11-29 21:29:02.479094+00', 'succeeded', NULL);
INSERT INTO public.job_attempts (job_id, number, worker, started_at, ended_at, outcome, detail) VALUES ('01a22936-0800-7641-a603-6e993c626c63', 1, 'worker-fbc9610c@test/933fbd/9083', '2026-11-29 21:29:03.209999+00', '2026-11-29 21:29:03.631741+00', 'succeeded', NULL);
INSERT INTO public.job_attempts (job_id, number, worker, started_at, ended_at, outcome, detail) VALUES ('01a22936-1949-75a6-aff0-6243d513b54c', 1, 'worker-fbc9610c@test/933fbd/9281', '2026-11-29 21:29:03.402754+00', '2026-11-29 21:29:03.904991+00', 'source_not_found', 'The provided file doesn''t exist in the bucket');
INSERT INTO public.job_attempts (job_id, number, worker, started_at, ended_at, outcome, detail) VALUES ('01a22936-fce1-701a-81d6-27b12dfa100a', 1, 'worker-9706ac49@test/30a314/11939', '2026-11-29 21:30:04.781776+00', NULL, NULL, NULL);
INSERT INTO public.job_attempts (job_id, number, worker, started_at, ended_at, outcome, detail) VALUES ('01a22936-ff3b-727c-b16b-4aa2cdb361e4', 1, 'worker-9706ac49@test/30a314/11901', '2026-11-29 21:30:05.713804+00', NULL, NULL, NULL);


--
-- Data for Name: jobs; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.jobs (id, project_id, kind, queue, table_id, batch_id, upload_id, retry_of, arguments, created_by_id, state, attempt, max_attempts, generation, next_run_at, rung_at, rings, lease_expires_at, worker, cancel_requested_at, progress, result, error, revision, created_at, started_at, finished_at, request_id, yielded_at) VALUES ('01a22936-fce1-701a-81d6-27b12dfa100a', 1, 'refresh_schema', 'interactive', '01a22935-b95f-7055-b7fe-ded146519cdd', NULL, NULL, NULL, '{}', 2, 'running', 1, 5, 1, '2026-11-29 21:29:59.285094+00', '2026-11-29 21:29:59.285094+00', 0, '2026-11-29 21:30:08.380723+00', 'worker-9706ac49@test/30a314/11939', NULL, NULL, NULL, NULL, 1, '2026-11-29 21:29:59.285094+00', '2026-11-29 21:30:04.380724+00', NULL, '42379f2dac1a4ae0885b1196816df6fe', NULL);
INSERT INTO public.jobs (id, project_id, kind, queue, table_id, batch_id, upload_id, retry_of, arguments, created_by_id, state, attempt, max_attempts, generation, next_run_at, rung_at, rings, lease_expires_at, worker, cancel_requested_at, progress, result, error, revision, created_at, started_at, finished_at, request_id, yielded_at) VALUES ('01a22936-ff3b-727c-b16b-4aa2cdb361e4', 1, 'ingest_file', 'interactive', '01a22935-c34e-7416-bbea-dbb06bcea3b3', NULL, '01a22936-fdec-7137-a13e-54ced4dde5a7', NULL, '{"target": "delta", "format": "CSVWithNames", "mode": "append"}', 2, 'running', 1, 5, 1, '2026-11-29 21:29:59.884911+00', '2026-11-29 21:29:59.884911+00', 0, '2026-11-29 21:30:09.42378+00', 'worker-9706ac49@test/30a314/11901', NULL, NULL, NULL, NULL, 1, '2026-11-29 21:29:59.884911+00', '2026-11-29 21:30:05.423781+00', NULL, 'fc36efe05ae344af827f4f1bac2dd6c9', NULL);
INSERT INTO public.jobs (id, project_id, kind, queue, table_id, batch_id, upload_id, retry_of, arguments, created_by_id, state, attempt, max_attempts, generation, next_run_at, rung_at, rings, lease_expires_at, worker, cancel_requested_at, progress, result, error, revision, created_at, started_at, finished_at, request_id, yielded_at) VALUES ('01a22937-2447-72ad-b5c3-b3f0e9ec1a00', 1, 'expand_batch', 'bulk', NULL, '01a22937-241c-7583-9a1b-048fcea2370d', NULL, NULL, '{}', 2, 'queued', 0, 5, NULL, '2026-11-29 21:30:09.352825+00', '2026-11-29 21:30:09.352825+00', 0, NULL, NULL, NULL, NULL, NULL, NULL, 0, '2026-11-29 21:30:09.352825+00', NULL, NULL, '742e36c807d6487aba369830f0ad8f18', NULL);
INSERT INTO public.jobs (id, project_id, kind, queue, table_id, batch_id, upload_id, retry_of, arguments, created_by_id, state, attempt, max_attempts, generation, next_run_at, rung_at, rings, lease_expires_at, worker, cancel_requested_at, progress, result, error, revision, created_at, started_at, finished_at, request_id, yielded_at) VALUES ('01a22935-ba3f-70a0-a09a-e275d88164fc', 1, 'refresh_schema', 'interactive', '01a22935-b95f-7055-b7fe-ded146519cdd', NULL, NULL, NULL, '{}', 2, 'succeeded', 1, 5, 1, '2026-11-29 21:28:36.730952+00', '2026-11-29 21:28:36.730952+00', 0, NULL, NULL, NULL, '{"phase": "reading the log", "files_done": 1, "files_total": 1}', '{"columns": 1, "schema_version": 1, "change": "additive", "diff": {"added": [{"name": "column_0", "type": "Nullable(Int64)"}], "removed": [], "changed": [], "renamed": [], "fields": {"added": [], "removed": [], "changed": [], "omitted": 0}, "reordered": false}, "source_version": 0, "row_count": 1, "size_bytes": 510, "file_count": 1, "coverage": {"files_matched": 1, "files_read": 2, "bytes_read": 2156, "truncated": false, "unchanged": false}}', NULL, 3, '2026-11-29 21:28:36.730952+00', '2026-11-29 21:28:38.616523+00', '2026-11-29 21:28:40.075888+00', '1986d89b266f4beda8e87a760f115f64', NULL);
INSERT INTO public.jobs (id, project_id, kind, queue, table_id, batch_id, upload_id, retry_of, arguments, created_by_id, state, attempt, max_attempts, generation, next_run_at, rung_at, rings, lease_expires_at, worker, cancel_requested_at, progress, result, error, revision, created_at, started_at, finished_at, request_id, yielded_at) VALUES ('01a22935-cee2-75f5-b9ad-8c6e5ced4e64', 1, 'validate_columns', 'validate', '01a22935-bce0-74fc-8446-1c86c533069f', NULL, NULL, NULL, '{}', NULL, 'succeeded', 1, 5, 1, '2026-11-29 21:28:42.055032+00', '2026-11-29 21:28:44.682004+00', 0, NULL, NULL, NULL, NULL, '{"columns": 1, "row_count": 20, "size_bytes": 59, "invalid_count": 0, "invalid": []}', NULL, 2, '2026-11-29 21:28:42.055032+00', '2026-11-29 21:28:46.075896+00', '2026-11-29 21:28:46.762395+00', 'cc585fd2add14e569131304f09206e11', NULL);
INSERT INTO public.jobs (id, project_id, kind, queue, table_id, batch_id, upload_id, retry_of, arguments, created_by_id, state, attempt, max_attempts, generation, next_run_at, rung_at, rings, lease_expires_at, worker, cancel_requested_at, progress, result, error, revision, created_at, started_at, finished_at, request_id, yielded_at) VALUES ('01a22935-c3ce-70a3-95b3-f1c23d916d51', 1, 'ingest_file', 'interactive', '01a22935-c34e-7416-bbea-dbb06bcea3b3', NULL, '01a22935-c1f0-7072-861a-db7a31f3c7dd', NULL, '{"target": "delta", "format": "CSVWithNames", "mode": "append"}', 2, 'succeeded', 1, 5, 1, '2026-11-29 21:28:39.126225+00', '2026-11-29 21:28:43.575405+00', 1, NULL, NULL, NULL, '{"phase": "load", "files_done": 0, "files_total": 1}', '{"columns": 2, "schema_version": 1, "change": "additive", "diff": {"added": [{"name": "marker", "type": "Nullable(String)"}, {"name": "number", "type": "Nullable(Int64)"}], "removed": [], "changed": [], "renamed": [], "fields": {"added": [], "removed": [], "changed": [], "omitted": 0}, "reordered": false}, "source_version": 1, "row_count": 3, "size_bytes": null, "file_count": null, "coverage": {"files_matched": 2, "files_read": 2, "bytes_read": 2240, "truncated": false, "unchanged": false}}', NULL, 4, '2026-11-29 21:28:39.126225+00', '2026-11-29 21:28:44.959674+00', '2026-11-29 21:28:52.424901+00', 'cd6011034cc24a7f80b50eb83153c839', NULL);
INSERT INTO public.jobs (id, project_id, kind, queue, table_id, batch_id, upload_id, retry_of, arguments, created_by_id, state, attempt, max_attempts, generation, next_run_at, rung_at, rings, lease_expires_at, worker, cancel_requested_at, progress, result, error, revision, created_at, started_at, finished_at, request_id, yielded_at) VALUES ('01a22935-be1d-706f-addb-44b20ff9c16c', 1, 'refresh_schema', 'interactive', '01a22935-bce0-74fc-8446-1c86c533069f', NULL, NULL, NULL, '{}', 2, 'succeeded', 1, 5, 1, '2026-11-29 21:28:37.670717+00', '2026-11-29 21:28:38.91044+00', 1, NULL, NULL, NULL, '{"phase": "sample", "files_done": 1, "files_total": 1}', '{"columns": 1, "schema_version": 1, "change": "additive", "diff": {"added": [{"name": "column_0", "type": "Nullable(Int64)"}], "removed": [], "changed": [], "renamed": [], "fields": {"added": [], "removed": [], "changed": [], "omitted": 0}, "reordered": false}, "source_version": "831bb128dcd7def2", "row_count": 20, "size_bytes": 59, "file_count": 1, "coverage": {"files_matched": 1, "files_read": 1, "bytes_read": 59, "truncated": false, "unchanged": false}}', NULL, 3, '2026-11-29 21:28:37.670717+00', '2026-11-29 21:28:39.455903+00', '2026-11-29 21:28:42.103086+00', 'cc585fd2add14e569131304f09206e11', NULL);
INSERT INTO public.jobs (id, project_id, kind, queue, table_id, batch_id, upload_id, retry_of, arguments, created_by_id, state, attempt, max_attempts, generation, next_run_at, rung_at, rings, lease_expires_at, worker, cancel_requested_at, progress, result, error, revision, created_at, started_at, finished_at, request_id, yielded_at) VALUES ('01a22935-c02d-73d5-916c-0c53983cdbcc', 1, 'refresh_schema', 'interactive', '01a22935-bfe7-759c-b74e-a9c36772db08', NULL, NULL, NULL, '{}', 2, 'succeeded', 1, 5, 1, '2026-11-29 21:28:38.203716+00', '2026-11-29 21:28:42.555415+00', 1, NULL, NULL, NULL, '{"phase": "reading the log", "files_done": 1, "files_total": 1}', '{"columns": 1, "schema_version": 1, "change": "additive", "diff": {"added": [{"name": "column_0", "type": "Nullable(Int64)"}], "removed": [], "changed": [], "renamed": [], "fields": {"added": [], "removed": [], "changed": [], "omitted": 0}, "reordered": false}, "source_version": 0, "row_count": 1, "size_bytes": 510, "file_count": 1, "coverage": {"files_matched": 1, "files_read": 2, "bytes_read": 2156, "truncated": false, "unchanged": false}}', NULL, 3, '2026-11-29 21:28:38.203716+00', '2026-11-29 21:28:44.796867+00', '2026-11-29 21:28:45.891188+00', '8d0df95caebe496f9110db176fc3bd91', NULL);
INSERT INTO public.jobs (id, project_id, kind, queue, table_id, batch_id, upload_id, retry_of, arguments, created_by_id, state, attempt, max_attempts, generation, next_run_at, rung_at, rings, lease_expires_at, worker, cancel_requested_at, progress, result, error, revision, created_at, started_at, finished_at, request_id, yielded_at) VALUES ('01a22935-fd40-72be-94f9-dcab5f88eb86', 1, 'validate_columns', 'validate', '01a22935-bce0-74fc-8446-1c86c533069f', NULL, NULL, NULL, '{}', 2, 'succeeded', 1, 5, 1, '2026-11-29 21:28:53.836345+00', '2026-11-29 21:28:53.836345+00', 0, NULL, NULL, NULL, NULL, '{"columns": 1, "row_count": 20, "size_bytes": 59, "invalid_count": 0, "invalid": []}', NULL, 2, '2026-11-29 21:28:53.836345+00', '2026-11-29 21:28:54.232594+00', '2026-11-29 21:28:54.638082+00', 'ef5f57875bc942918c484ee5d9af80d0', NULL);
INSERT INTO public.jobs (id, project_id, kind, queue, table_id, batch_id, upload_id, retry_of, arguments, created_by_id, state, attempt, max_attempts, generation, next_run_at, rung_at, rings, lease_expires_at, worker, cancel_requested_at, progress, result, error, revision, created_at, started_at, finished_at, request_id, yielded_at) VALUES ('01a22935-fecb-7484-a865-9971be7b9677', 1, 'refresh_schema', 'interactive', '01a22935-b95f-7055-b7fe-ded146519cdd', NULL, NULL, NULL, '{}', 2, 'succeeded', 1, 5, 1, '2026-11-29 21:28:54.224289+00', '2026-11-29 21:28:54.224289+00', 0, NULL, NULL, NULL, NULL, '{"columns": 2, "schema_version": 2, "change": "additive", "diff": {"added": [{"name": "column_1", "type": "Nullable(Int64)"}], "removed": [], "changed": [], "renamed": [], "fields": {"added": [], "removed": [], "changed": [], "omitted": 0}, "reordered": false}, "source_version": 1, "row_count": 2, "size_bytes": 1324, "file_count": 2, "coverage": {"files_matched": 2, "files_read": 5, "bytes_read": 5582, "truncated": false, "unchanged": false}}', NULL, 2, '2026-11-29 21:28:54.22429+00', '2026-11-29 21:28:54.754412+00', '2026-11-29 21:28:55.231718+00', '27a49824cf6a41f2898db09d32cfdf93', NULL);
INSERT INTO public.jobs (id, project_id, kind, queue, table_id, batch_id, upload_id, retry_of, arguments, created_by_id, state, attempt, max_attempts, generation, next_run_at, rung_at, rings, lease_expires_at, worker, cancel_requested_at, progress, result, error, revision, created_at, started_at, finished_at, request_id, yielded_at) VALUES ('01a22936-008f-7545-8d54-e3a58cc0f7cb', 1, 'expand_batch', 'bulk', NULL, '01a22936-001c-71cf-85cc-f6e1a05ce864', NULL, NULL, '{}', 2, 'succeeded', 1, 5, NULL, '2026-11-29 21:28:54.704139+00', '2026-11-29 21:28:55.599336+00', 0, NULL, NULL, NULL, NULL, '{"tables": 4, "jobs": 4, "deduplicated": 0}', NULL, 2, '2026-11-29 21:28:54.704139+00', '2026-11-29 21:28:56.11857+00', '2026-11-29 21:28:57.615156+00', '72ff3e4315eb454e8b151b627ae1039c', NULL);
INSERT INTO public.jobs (id, project_id, kind, queue, table_id, batch_id, upload_id, retry_of, arguments, created_by_id, state, attempt, max_attempts, generation, next_run_at, rung_at, rings, lease_expires_at, worker, cancel_requested_at, progress, result, error, revision, created_at, started_at, finished_at, request_id, yielded_at) VALUES ('01a22936-0800-7641-a603-6e9b07147209', 1, 'refresh_schema', 'bulk', '01a22935-c34e-7416-bbea-dbb06bcea3b3', '01a22936-001c-71cf-85cc-f6e1a05ce864', NULL, NULL, '{}', 2, 'succeeded', 1, 5, 1, '2026-11-29 21:28:56.799258+00', '2026-11-29 21:29:00.400923+00', 1, NULL, NULL, NULL, '{"phase": "reading the log", "files_done": 1, "files_total": 1}', '{"columns": 2, "schema_version": 1, "change": "none", "diff": {"added": [], "removed": [], "changed": [], "renamed": [], "fields": {"added": [], "removed": [], "changed": [], "omitted": 0}, "reordered": false}, "source_version": 2, "row_count": null, "size_bytes": null, "file_count": null, "coverage": {"files_matched": 2, "files_read": 1, "bytes_read": 922, "truncated": false, "unchanged": false}}', NULL, 3, '2026-11-29 21:28:56.799258+00', '2026-11-29 21:29:01.344437+00', '2026-11-29 21:29:02.415038+00', '72ff3e4315eb454e8b151b627ae1039c', NULL);
INSERT INTO public.jobs (id, project_id, kind, queue, table_id, batch_id, upload_id, retry_of, arguments, created_by_id, state, attempt, max_attempts, generation, next_run_at, rung_at, rings, lease_expires_at, worker, cancel_requested_at, progress, result, error, revision, created_at, started_at, finished_at, request_id, yielded_at) VALUES ('01a22936-0800-7641-a603-6e993c626c63', 1, 'refresh_schema', 'bulk', '01a22935-bce0-74fc-8446-1c86c533069f', '01a22936-001c-71cf-85cc-f6e1a05ce864', NULL, NULL, '{}', 2, 'succeeded', 1, 5, 1, '2026-11-29 21:28:56.799233+00', '2026-11-29 21:29:02.685241+00', 0, NULL, NULL, NULL, NULL, '{"columns": 1, "schema_version": 2, "change": "none", "diff": {"added": [], "removed": [], "changed": [], "renamed": [], "fields": {"added": [], "removed": [], "changed": [], "omitted": 0}, "reordered": false}, "source_version": "831bb128dcd7def2", "row_count": 20, "size_bytes": 59, "file_count": 1, "coverage": {"files_matched": 1, "files_read": 0, "bytes_read": 0, "truncated": false, "unchanged": true}}', NULL, 2, '2026-11-29 21:28:56.799233+00', '2026-11-29 21:29:03.165478+00', '2026-11-29 21:29:03.587469+00', '72ff3e4315eb454e8b151b627ae1039c', NULL);
INSERT INTO public.jobs (id, project_id, kind, queue, table_id, batch_id, upload_id, retry_of, arguments, created_by_id, state, attempt, max_attempts, generation, next_run_at, rung_at, rings, lease_expires_at, worker, cancel_requested_at, progress, result, error, revision, created_at, started_at, finished_at, request_id, yielded_at) VALUES ('01a22937-1f47-7731-934c-090f1ce013f5', 1, 'refresh_schema', 'interactive', '01a22935-b95f-7055-b7fe-ded146519cdd', NULL, NULL, NULL, '{}', 2, 'queued', 0, 5, NULL, '2026-11-29 21:30:08.073131+00', '2026-11-29 21:30:08.073131+00', 0, NULL, NULL, NULL, NULL, NULL, NULL, 0, '2026-11-29 21:30:08.073131+00', NULL, NULL, '949f7ae2386e425487da7661acb2beed', NULL);
INSERT INTO public.jobs (id, project_id, kind, queue, table_id, batch_id, upload_id, retry_of, arguments, created_by_id, state, attempt, max_attempts, generation, next_run_at, rung_at, rings, lease_expires_at, worker, cancel_requested_at, progress, result, error, revision, created_at, started_at, finished_at, request_id, yielded_at) VALUES ('01a22937-20aa-7769-a9c6-beb6e17fb99c', 1, 'refresh_schema', 'interactive', '01a22935-bce0-74fc-8446-1c86c533069f', NULL, NULL, NULL, '{}', 2, 'queued', 0, 5, NULL, '2026-11-29 21:30:08.465742+00', '2026-11-29 21:30:08.465742+00', 0, NULL, NULL, NULL, NULL, NULL, NULL, 0, '2026-11-29 21:30:08.465743+00', NULL, NULL, 'f68d10575e0648f4aef9b56b7596bb13', NULL);
INSERT INTO public.jobs (id, project_id, kind, queue, table_id, batch_id, upload_id, retry_of, arguments, created_by_id, state, attempt, max_attempts, generation, next_run_at, rung_at, rings, lease_expires_at, worker, cancel_requested_at, progress, result, error, revision, created_at, started_at, finished_at, request_id, yielded_at) VALUES ('01a22937-2304-731b-802c-1ba97c4cadd0', 1, 'ingest_file', 'interactive', '01a22935-c34e-7416-bbea-dbb06bcea3b3', NULL, '01a22937-21eb-7437-b5c5-1d99c85af74c', NULL, '{"target": "delta", "format": "CSVWithNames", "mode": "append"}', 2, 'queued', 0, 5, NULL, '2026-11-29 21:30:09.029987+00', '2026-11-29 21:30:09.029987+00', 0, NULL, NULL, NULL, NULL, NULL, NULL, 0, '2026-11-29 21:30:09.029987+00', NULL, NULL, 'b3e1cdcf5d1248cd9142f45d26995edb', NULL);
INSERT INTO public.jobs (id, project_id, kind, queue, table_id, batch_id, upload_id, retry_of, arguments, created_by_id, state, attempt, max_attempts, generation, next_run_at, rung_at, rings, lease_expires_at, worker, cancel_requested_at, progress, result, error, revision, created_at, started_at, finished_at, request_id, yielded_at) VALUES ('01a22936-0580-75bd-abda-838dd0fa8f28', 1, 'expand_batch', 'bulk', NULL, '01a22936-0527-766a-af3e-612392d89e93', NULL, NULL, '{}', 2, 'succeeded', 1, 5, NULL, '2026-11-29 21:28:55.947407+00', '2026-11-29 21:28:55.947407+00', 0, NULL, NULL, NULL, NULL, '{"tables": 4, "jobs": 1, "deduplicated": 3}', NULL, 2, '2026-11-29 21:28:55.947407+00', '2026-11-29 21:28:56.603861+00', '2026-11-29 21:28:59.045787+00', '3337a9eb6e2e433ea81ca3228eab414a', NULL);
INSERT INTO public.jobs (id, project_id, kind, queue, table_id, batch_id, upload_id, retry_of, arguments, created_by_id, state, attempt, max_attempts, generation, next_run_at, rung_at, rings, lease_expires_at, worker, cancel_requested_at, progress, result, error, revision, created_at, started_at, finished_at, request_id, yielded_at) VALUES ('01a22936-0800-7641-a603-6e98fffdd309', 1, 'refresh_schema', 'bulk', '01a22935-b95f-7055-b7fe-ded146519cdd', '01a22936-001c-71cf-85cc-f6e1a05ce864', NULL, NULL, '{}', 2, 'succeeded', 1, 5, 1, '2026-11-29 21:28:56.799123+00', '2026-11-29 21:28:57.866104+00', 0, NULL, NULL, NULL, NULL, '{"columns": 2, "schema_version": 2, "change": "none", "diff": {"added": [], "removed": [], "changed": [], "renamed": [], "fields": {"added": [], "removed": [], "changed": [], "omitted": 0}, "reordered": false}, "source_version": 1, "row_count": 2, "size_bytes": 1324, "file_count": 2, "coverage": {"files_matched": 1, "files_read": 0, "bytes_read": 0, "truncated": false, "unchanged": true}}', NULL, 2, '2026-11-29 21:28:56.799123+00', '2026-11-29 21:28:58.373213+00', '2026-11-29 21:28:59.268318+00', '72ff3e4315eb454e8b151b627ae1039c', NULL);
INSERT INTO public.jobs (id, project_id, kind, queue, table_id, batch_id, upload_id, retry_of, arguments, created_by_id, state, attempt, max_attempts, generation, next_run_at, rung_at, rings, lease_expires_at, worker, cancel_requested_at, progress, result, error, revision, created_at, started_at, finished_at, request_id, yielded_at) VALUES ('01a22936-0d69-7707-8d73-f34c2fd060eb', 1, 'ingest_file', 'interactive', '01a22935-c34e-7416-bbea-dbb06bcea3b3', NULL, '01a22936-079f-719a-9f6f-95d3581f3834', NULL, '{"target": "delta", "format": "CSVWithNames", "mode": "append"}', 2, 'succeeded', 1, 5, 1, '2026-11-29 21:28:57.991394+00', '2026-11-29 21:28:59.189126+00', 0, NULL, NULL, NULL, NULL, '{"columns": 2, "schema_version": 1, "change": "none", "diff": {"added": [], "removed": [], "changed": [], "renamed": [], "fields": {"added": [], "removed": [], "changed": [], "omitted": 0}, "reordered": false}, "source_version": 2, "row_count": 5, "size_bytes": null, "file_count": null, "coverage": {"files_matched": 3, "files_read": 3, "bytes_read": 3162, "truncated": false, "unchanged": false}}', NULL, 2, '2026-11-29 21:28:57.991394+00', '2026-11-29 21:29:00.007598+00', '2026-11-29 21:29:00.611575+00', '5ae6b9930b2d4a2bbf13f1083e702ae1', NULL);
INSERT INTO public.jobs (id, project_id, kind, queue, table_id, batch_id, upload_id, retry_of, arguments, created_by_id, state, attempt, max_attempts, generation, next_run_at, rung_at, rings, lease_expires_at, worker, cancel_requested_at, progress, result, error, revision, created_at, started_at, finished_at, request_id, yielded_at) VALUES ('01a22936-0e32-74ec-8485-715242a0df8f', 1, 'refresh_schema', 'bulk', '01a22935-b95f-7055-b7fe-ded146519cdd', '01a22936-0527-766a-af3e-612392d89e93', NULL, NULL, '{}', 2, 'succeeded', 1, 5, 1, '2026-11-29 21:28:58.620129+00', NULL, 0, NULL, NULL, NULL, NULL, '{"columns": 2, "schema_version": 2, "change": "none", "diff": {"added": [], "removed": [], "changed": [], "renamed": [], "fields": {"added": [], "removed": [], "changed": [], "omitted": 0}, "reordered": false}, "source_version": 1, "row_count": 2, "size_bytes": 1324, "file_count": 2, "coverage": {"files_matched": 1, "files_read": 0, "bytes_read": 0, "truncated": false, "unchanged": true}}', NULL, 2, '2026-11-29 21:28:58.620129+00', '2026-11-29 21:29:00.367072+00', '2026-11-29 21:29:00.930567+00', '3337a9eb6e2e433ea81ca3228eab414a', NULL);
INSERT INTO public.jobs (id, project_id, kind, queue, table_id, batch_id, upload_id, retry_of, arguments, created_by_id, state, attempt, max_attempts, generation, next_run_at, rung_at, rings, lease_expires_at, worker, cancel_requested_at, progress, result, error, revision, created_at, started_at, finished_at, request_id, yielded_at) VALUES ('01a22936-0800-7641-a603-6e9af62f117c', 1, 'refresh_schema', 'bulk', '01a22935-bfe7-759c-b74e-a9c36772db08', '01a22936-001c-71cf-85cc-f6e1a05ce864', NULL, NULL, '{}', 2, 'cancelled', 0, 5, NULL, '2026-11-29 21:28:56.799247+00', NULL, 0, NULL, NULL, NULL, NULL, NULL, '{"code": "superseded", "retryable": false, "detail": "The table was deleted.", "hint": null, "file": null}', 1, '2026-11-29 21:28:56.799247+00', NULL, '2026-11-29 21:28:59.476257+00', '72ff3e4315eb454e8b151b627ae1039c', NULL);
INSERT INTO public.jobs (id, project_id, kind, queue, table_id, batch_id, upload_id, retry_of, arguments, created_by_id, state, attempt, max_attempts, generation, next_run_at, rung_at, rings, lease_expires_at, worker, cancel_requested_at, progress, result, error, revision, created_at, started_at, finished_at, request_id, yielded_at) VALUES ('01a22936-1949-75a6-aff0-6243d513b54c', 1, 'refresh_schema', 'interactive', '01a22936-18b6-7557-8049-0b688f894c9d', NULL, NULL, NULL, '{}', 2, 'failed', 1, 5, 1, '2026-11-29 21:29:01.02239+00', '2026-11-29 21:29:02.34017+00', 0, NULL, NULL, NULL, NULL, NULL, '{"code": "source_not_found", "retryable": false, "detail": "The provided file doesn''t exist in the bucket", "hint": "Check the path in the URL pattern. A folder of files needs a glob, such as /path/*.parquet; a Delta table is named by its root folder.", "file": null}', 2, '2026-11-29 21:29:01.02239+00', '2026-11-29 21:29:03.33085+00', '2026-11-29 21:29:03.867195+00', '0d37080e560041b9bafd9924535b06d7', NULL);
INSERT INTO public.jobs (id, project_id, kind, queue, table_id, batch_id, upload_id, retry_of, arguments, created_by_id, state, attempt, max_attempts, generation, next_run_at, rung_at, rings, lease_expires_at, worker, cancel_requested_at, progress, result, error, revision, created_at, started_at, finished_at, request_id, yielded_at) VALUES ('01a22936-582c-72e4-8bec-bda41152e89a', 1, 'refresh_schema', 'interactive', '01a22936-57a0-75d3-adb6-cd53ba21048c', NULL, NULL, NULL, '{}', 2, 'cancelled', 0, 5, NULL, '2026-11-29 21:29:17.121057+00', '2026-11-29 21:29:17.121057+00', 0, NULL, NULL, '2026-11-29 21:29:17.356805+00', NULL, NULL, '{"code": "cancelled", "retryable": false, "detail": "The job was cancelled.", "hint": null, "file": null}', 1, '2026-11-29 21:29:17.121057+00', NULL, '2026-11-29 21:29:17.356805+00', '54d3b2c6020342d8992607f96bbf14a2', NULL);


--
-- Data for Name: projects; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.projects (id, uuid, name, created_at) VALUES (1, '01a22934-acdd-73f2-bb2a-6d212f2e106a', 'Test', '2026-11-29 21:27:27.740877+00');


--
-- Data for Name: schedule_fires; Type: TABLE DATA; Schema: public; Owner: -
--



--
-- Data for Name: schedules; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.schedules (id, project_id, name, cron, timezone, jitter_seconds, selector, paused, next_fire_at, last_fire_at, created_by_id, created_at) VALUES ('01a22936-0370-7185-a835-4aee7b0da426', 1, 'yearly', '0 0 1 1 *', 'UTC', 0, '{"all": true}', false, '2027-01-01 00:00:00+00', NULL, 2, '2026-11-29 21:28:55.409474+00');


--
-- Data for Name: schema_versions; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.schema_versions (id, table_id, number, columns, diff, change, source_version, job_id, created_at) VALUES ('01a22935-c4d1-766d-806c-7125b30d61ac', '01a22935-b95f-7055-b7fe-ded146519cdd', 1, '[{"name": "column_0", "clickhouse": "Nullable(Int64)", "hogql": "IntegerDatabaseField", "valid": true, "nullable": true, "override": false}]', '{"added": [{"name": "column_0", "type": "Nullable(Int64)"}], "removed": [], "changed": [], "renamed": [], "fields": {"added": [], "removed": [], "changed": [], "omitted": 0}, "reordered": false}', 'additive', '0', '01a22935-ba3f-70a0-a09a-e275d88164fc', '2026-11-29 21:28:39.382324+00');
INSERT INTO public.schema_versions (id, table_id, number, columns, diff, change, source_version, job_id, created_at) VALUES ('01a22935-c93d-76dd-8059-1062ad66ee1f', '01a22935-bce0-74fc-8446-1c86c533069f', 1, '[{"name": "column_0", "clickhouse": "Nullable(Int64)", "hogql": "IntegerDatabaseField", "valid": true, "nullable": true, "override": false}]', '{"added": [{"name": "column_0", "type": "Nullable(Int64)"}], "removed": [], "changed": [], "renamed": [], "fields": {"added": [], "removed": [], "changed": [], "omitted": 0}, "reordered": false}', 'additive', '"831bb128dcd7def2"', '01a22935-be1d-706f-addb-44b20ff9c16c', '2026-11-29 21:28:40.521444+00');
INSERT INTO public.schema_versions (id, table_id, number, columns, diff, change, source_version, job_id, created_at) VALUES ('01a22935-dc20-752f-8a49-8822a41d623e', '01a22935-bfe7-759c-b74e-a9c36772db08', 1, '[{"name": "column_0", "clickhouse": "Nullable(Int64)", "hogql": "IntegerDatabaseField", "valid": true, "nullable": true, "override": false}]', '{"added": [{"name": "column_0", "type": "Nullable(Int64)"}], "removed": [], "changed": [], "renamed": [], "fields": {"added": [], "removed": [], "changed": [], "omitted": 0}, "reordered": false}', 'additive', '0', '01a22935-c02d-73d5-916c-0c53983cdbcc', '2026-11-29 21:28:45.393487+00');
INSERT INTO public.schema_versions (id, table_id, number, columns, diff, change, source_version, job_id, created_at) VALUES ('01a22935-f74e-77c5-9929-0cb5bfcd2ef9', '01a22935-c34e-7416-bbea-dbb06bcea3b3', 1, '[{"name": "marker", "clickhouse": "Nullable(String)", "hogql": "StringDatabaseField", "valid": true, "nullable": true, "override": false}, {"name": "number", "clickhouse": "Nullable(Int64)", "hogql": "IntegerDatabaseField", "valid": true, "nullable": true, "override": false}]', '{"added": [{"name": "marker", "type": "Nullable(String)"}, {"name": "number", "type": "Nullable(Int64)"}], "removed": [], "changed": [], "renamed": [], "fields": {"added": [], "removed": [], "changed": [], "omitted": 0}, "reordered": false}', 'additive', '1', '01a22935-c3ce-70a3-95b3-f1c23d916d51', '2026-11-29 21:28:52.315876+00');
INSERT INTO public.schema_versions (id, table_id, number, columns, diff, change, source_version, job_id, created_at) VALUES ('01a22935-fc8b-700f-a9b0-b8a70ba44ddf', '01a22935-bce0-74fc-8446-1c86c533069f', 2, '[{"name": "column_0", "clickhouse": "Nullable(String)", "hogql": "StringDatabaseField", "valid": true, "nullable": true, "override": true}]', '{"added": [], "removed": [], "changed": [{"name": "column_0", "from": "Nullable(Int64)", "to": "Nullable(String)", "only_fields": false}], "renamed": [], "fields": {"added": [], "removed": [], "changed": [], "omitted": 0}, "reordered": false}', 'breaking', '"831bb128dcd7def2"', NULL, '2026-11-29 21:28:53.659494+00');
INSERT INTO public.schema_versions (id, table_id, number, columns, diff, change, source_version, job_id, created_at) VALUES ('01a22936-0214-7525-a40c-5f5d9a7e563d', '01a22935-b95f-7055-b7fe-ded146519cdd', 2, '[{"name": "column_0", "clickhouse": "Nullable(Int64)", "hogql": "IntegerDatabaseField", "valid": true, "nullable": true, "override": false}, {"name": "column_1", "clickhouse": "Nullable(Int64)", "hogql": "IntegerDatabaseField", "valid": true, "nullable": true, "override": false}]', '{"added": [{"name": "column_1", "type": "Nullable(Int64)"}], "removed": [], "changed": [], "renamed": [], "fields": {"added": [], "removed": [], "changed": [], "omitted": 0}, "reordered": false}', 'additive', '1', '01a22935-fecb-7484-a865-9971be7b9677', '2026-11-29 21:28:55.067015+00');


--
-- Data for Name: tables; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.tables (id, project_id, name, format, url_pattern, credential_id, options, columns, managed, upload_id, external_data_source, external_schema, created_via, created_by_id, created_at, deleted, deleted_at, generation, source_state, validated_state, source_version, schema_version, row_count, size_bytes, last_refreshed_at, latest_job_id, schema_bytes, folded_name) VALUES ('01a22935-bfe7-759c-b74e-a9c36772db08', 1, 't_40f07b89', 'Delta', 'file:///@FOLDER@/sources/delta', NULL, '{"delta_count": true}', '[{"name": "column_0", "clickhouse": "Nullable(Int64)", "hogql": "IntegerDatabaseField", "valid": true, "nullable": true, "override": false}]', false, NULL, NULL, NULL, 'api', 2, '2026-11-29 21:28:38.12126+00', true, '2026-11-29 21:29:00.475055+00', 2, '{"reader_version": 2, "version": 0, "etag": "18eca14fc5107f8c-436-368053", "protocol": {"minReaderVersion": 1, "readerFeatures": [], "writerFeatures": []}, "metadata": {"schemaString": "{\"type\":\"struct\",\"fields\":[{\"name\":\"column_0\",\"type\":\"long\",\"nullable\":true,\"metadata\":{}}]}", "partitionColumns": []}, "row_count": 1, "size_bytes": 510, "file_count": 1, "counted": true, "generation": 1}', NULL, '0', 1, 1, 510, '2026-11-29 21:28:45.413998+00', '01a22936-0800-7641-a603-6e9af62f117c', 334, 't_40f07b89');
INSERT INTO public.tables (id, project_id, name, format, url_pattern, credential_id, options, columns, managed, upload_id, external_data_source, external_schema, created_via, created_by_id, created_at, deleted, deleted_at, generation, source_state, validated_state, source_version, schema_version, row_count, size_bytes, last_refreshed_at, latest_job_id, schema_bytes, folded_name) VALUES ('01a22936-18b6-7557-8049-0b688f894c9d', 1, 'missing', 'Parquet', 'file:///@FOLDER@/sources/missing/*.parquet', NULL, '{}', '[]', false, NULL, NULL, NULL, 'api', 2, '2026-11-29 21:29:00.862992+00', false, NULL, 1, NULL, NULL, NULL, 0, NULL, NULL, NULL, '01a22936-1949-75a6-aff0-6243d513b54c', 0, 'missing');
INSERT INTO public.tables (id, project_id, name, format, url_pattern, credential_id, options, columns, managed, upload_id, external_data_source, external_schema, created_via, created_by_id, created_at, deleted, deleted_at, generation, source_state, validated_state, source_version, schema_version, row_count, size_bytes, last_refreshed_at, latest_job_id, schema_bytes, folded_name) VALUES ('01a22936-57a0-75d3-adb6-cd53ba21048c', 1, 'guarded', 'Parquet', 'http://127.0.0.1:9/bucket/*.parquet', '01a22936-57b6-7672-a91f-53593107c0b6', '{}', '[]', false, NULL, NULL, NULL, 'api', 2, '2026-11-29 21:29:16.965627+00', false, NULL, 1, NULL, NULL, NULL, 0, NULL, NULL, NULL, '01a22936-582c-72e4-8bec-bda41152e89a', 0, 'guarded');
INSERT INTO public.tables (id, project_id, name, format, url_pattern, credential_id, options, columns, managed, upload_id, external_data_source, external_schema, created_via, created_by_id, created_at, deleted, deleted_at, generation, source_state, validated_state, source_version, schema_version, row_count, size_bytes, last_refreshed_at, latest_job_id, schema_bytes, folded_name) VALUES ('01a22935-b95f-7055-b7fe-ded146519cdd', 1, 'orders', 'Delta', 'file:///@FOLDER@/sources/delta', NULL, '{"delta_count": true}', '[{"name": "column_0", "clickhouse": "Nullable(Int64)", "hogql": "IntegerDatabaseField", "valid": true, "nullable": true, "override": false}, {"name": "column_1", "clickhouse": "Nullable(Int64)", "hogql": "IntegerDatabaseField", "valid": true, "nullable": true, "override": false}]', false, NULL, NULL, NULL, 'api', 2, '2026-11-29 21:28:36.455532+00', false, NULL, 1, '{"reader_version": 2, "version": 1, "etag": "18eca153db3ec160-476-3680e2", "protocol": {"minReaderVersion": 1, "readerFeatures": [], "writerFeatures": []}, "metadata": {"schemaString": "{\"type\":\"struct\",\"fields\":[{\"name\":\"column_0\",\"type\":\"long\",\"nullable\":true,\"metadata\":{}},{\"name\":\"column_1\",\"type\":\"long\",\"nullable\":true,\"metadata\":{}}]}", "partitionColumns": []}, "row_count": 2, "size_bytes": 1324, "file_count": 2, "counted": true, "generation": 1}', NULL, '1', 2, 2, 1324, '2026-11-29 21:29:00.885261+00', '01a22937-1f47-7731-934c-090f1ce013f5', 808, 'orders');
INSERT INTO public.tables (id, project_id, name, format, url_pattern, credential_id, options, columns, managed, upload_id, external_data_source, external_schema, created_via, created_by_id, created_at, deleted, deleted_at, generation, source_state, validated_state, source_version, schema_version, row_count, size_bytes, last_refreshed_at, latest_job_id, schema_bytes, folded_name) VALUES ('01a22935-c34e-7416-bbea-dbb06bcea3b3', 1, 'ledger', 'Delta', 'managed:///delta/1/01a22935-c34e-7416-bbea-dbb06bcea3b3', NULL, '{}', '[{"name": "marker", "clickhouse": "Nullable(String)", "hogql": "StringDatabaseField", "valid": true, "nullable": true, "override": false}, {"name": "number", "clickhouse": "Nullable(Int64)", "hogql": "IntegerDatabaseField", "valid": true, "nullable": true, "override": false}]', true, NULL, NULL, NULL, 'api', 2, '2026-11-29 21:28:39.029696+00', false, NULL, 1, '{"reader_version": 2, "version": 2, "etag": "18eca1559e0b9e95-39a-368022", "protocol": {"minReaderVersion": 1, "readerFeatures": [], "writerFeatures": []}, "metadata": {"schemaString": "{\"type\":\"struct\",\"fields\":[{\"name\":\"marker\",\"type\":\"string\",\"nullable\":true,\"metadata\":{}},{\"name\":\"number\",\"type\":\"long\",\"nullable\":true,\"metadata\":{}}]}", "partitionColumns": []}, "row_count": null, "size_bytes": null, "file_count": null, "counted": false, "generation": 1}', NULL, '2', 1, NULL, NULL, '2026-11-29 21:29:02.36251+00', '01a22937-2304-731b-802c-1ba97c4cadd0', 516, 'ledger');
INSERT INTO public.tables (id, project_id, name, format, url_pattern, credential_id, options, columns, managed, upload_id, external_data_source, external_schema, created_via, created_by_id, created_at, deleted, deleted_at, generation, source_state, validated_state, source_version, schema_version, row_count, size_bytes, last_refreshed_at, latest_job_id, schema_bytes, folded_name) VALUES ('01a22935-bce0-74fc-8446-1c86c533069f', 1, 't_3c87b941', 'CSVWithNames', 'file:///@FOLDER@/sources/numbers.csv', NULL, '{}', '[{"name": "column_0", "clickhouse": "Nullable(String)", "hogql": "StringDatabaseField", "valid": true, "nullable": true, "override": true}]', false, NULL, NULL, NULL, 'api', 2, '2026-11-29 21:28:37.404807+00', false, NULL, 1, '{"reader_version": 2, "kind": "files/CSVWithNames", "options": {}, "fingerprint": "831bb128dcd7def249e90be3fd91d13152ce438f8bab96633435fc5593975b29", "columns": [{"name": "column_0", "clickhouse": "Nullable(Int64)", "hogql": "IntegerDatabaseField", "valid": true, "nullable": true, "override": false}], "row_count": 20, "truncated": false, "budget": [200, 67108864, 60.0], "generation": 1}', '{"reader_version": 2, "kind": "files/CSVWithNames", "options": {}, "fingerprint": "831bb128dcd7def249e90be3fd91d13152ce438f8bab96633435fc5593975b29", "columns": [{"name": "column_0", "clickhouse": "Nullable(Int64)", "hogql": "IntegerDatabaseField", "valid": true, "nullable": true, "override": false}], "row_count": 20, "truncated": false, "budget": [200, 67108864, 60.0], "generation": 1}', '"831bb128dcd7def2"', 2, 20, 59, '2026-11-29 21:29:03.516879+00', '01a22937-20aa-7769-a9c6-beb6e17fb99c', 715, 't_3c87b941');


--
-- Data for Name: uploads; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.uploads (id, project_id, filename, file_format, object_key, state, size_bytes, created_by_id, created_at, changed_at) VALUES ('01a22935-c1f0-7072-861a-db7a31f3c7dd', 1, 'mbda4e597de60.csv', NULL, 'uploads/1/01a22935-c1f0-7072-861a-db7a31f3c7dd', 'superseded', 62, 2, '2026-11-29 21:28:38.664424+00', '2026-11-29 21:28:52.376828+00');
INSERT INTO public.uploads (id, project_id, filename, file_format, object_key, state, size_bytes, created_by_id, created_at, changed_at) VALUES ('01a22936-079f-719a-9f6f-95d3581f3834', 1, 'mbf267f91e7f7.csv', NULL, 'uploads/1/01a22936-079f-719a-9f6f-95d3581f3834', 'superseded', 46, 2, '2026-11-29 21:28:56.481146+00', '2026-11-29 21:29:00.536174+00');
INSERT INTO public.uploads (id, project_id, filename, file_format, object_key, state, size_bytes, created_by_id, created_at, changed_at) VALUES ('01a22936-fdec-7137-a13e-54ced4dde5a7', 1, 'm077215224320.csv', NULL, 'uploads/1/01a22936-fdec-7137-a13e-54ced4dde5a7', 'stored', 78, 2, '2026-11-29 21:29:59.542231+00', '2026-11-29 21:29:59.749913+00');
INSERT INTO public.uploads (id, project_id, filename, file_format, object_key, state, size_bytes, created_by_id, created_at, changed_at) VALUES ('01a22937-21eb-7437-b5c5-1d99c85af74c', 1, 'mb0e004f1a548.csv', NULL, 'uploads/1/01a22937-21eb-7437-b5c5-1d99c85af74c', 'stored', 94, 2, '2026-11-29 21:30:08.76227+00', '2026-11-29 21:30:08.955738+00');


--
-- Data for Name: users; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.users (id, uuid, first_name, last_name, email, created_at) VALUES (1, '01a22934-ad1d-76a7-bf3d-40c13dbfe2df', 'Ada', '', '339b0bc5@example.com', '2026-11-29 21:27:27.7742+00');
INSERT INTO public.users (id, uuid, first_name, last_name, email, created_at) VALUES (2, '01a22935-096a-7734-aa51-ee6019fbaae2', 'Operator', '', 'operator@stocktake.invalid', '2026-11-29 21:27:51.426395+00');


--
-- Data for Name: worker_pools; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.worker_pools (worker, queue, places, project_places, expires_at) VALUES ('worker-9706ac49@test/30a314', 'interactive', 2, 2, '2026-11-29 21:30:05.279909+00');
INSERT INTO public.worker_pools (worker, queue, places, project_places, expires_at) VALUES ('worker-9706ac49@test/30a314', 'bulk', 2, 2, '2026-11-29 21:30:05.279923+00');
INSERT INTO public.worker_pools (worker, queue, places, project_places, expires_at) VALUES ('worker-9706ac49@test/30a314', 'validate', 2, 2, '2026-11-29 21:30:05.279927+00');


--
-- Name: projects_id_seq; Type: SEQUENCE SET; Schema: public; Owner: -
--

SELECT pg_catalog.setval('public.projects_id_seq', 1, true);


--
-- Name: users_id_seq; Type: SEQUENCE SET; Schema: public; Owner: -
--

SELECT pg_catalog.setval('public.users_id_seq', 2, true);


--
-- Name: alembic_version alembic_version_pkc; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.alembic_version
    ADD CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num);


--
-- Name: api_keys pk_api_keys; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.api_keys
    ADD CONSTRAINT pk_api_keys PRIMARY KEY (id);


--
-- Name: audit_log pk_audit_log; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.audit_log
    ADD CONSTRAINT pk_audit_log PRIMARY KEY (id);


--
-- Name: batch_items pk_batch_items; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.batch_items
    ADD CONSTRAINT pk_batch_items PRIMARY KEY (batch_id, table_id);


--
-- Name: batches pk_batches; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.batches
    ADD CONSTRAINT pk_batches PRIMARY KEY (id);


--
-- Name: canaries pk_canaries; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.canaries
    ADD CONSTRAINT pk_canaries PRIMARY KEY (queue);


--
-- Name: clock_beats pk_clock_beats; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.clock_beats
    ADD CONSTRAINT pk_clock_beats PRIMARY KEY (node);


--
-- Name: counters pk_counters; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.counters
    ADD CONSTRAINT pk_counters PRIMARY KEY (name, label);


--
-- Name: credentials pk_credentials; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.credentials
    ADD CONSTRAINT pk_credentials PRIMARY KEY (id);


--
-- Name: idempotency_keys pk_idempotency_keys; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.idempotency_keys
    ADD CONSTRAINT pk_idempotency_keys PRIMARY KEY (project_id, key);


--
-- Name: job_attempts pk_job_attempts; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.job_attempts
    ADD CONSTRAINT pk_job_attempts PRIMARY KEY (job_id, number);


--
-- Name: jobs pk_jobs; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.jobs
    ADD CONSTRAINT pk_jobs PRIMARY KEY (id);


--
-- Name: projects pk_projects; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.projects
    ADD CONSTRAINT pk_projects PRIMARY KEY (id);


--
-- Name: schedule_fires pk_schedule_fires; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.schedule_fires
    ADD CONSTRAINT pk_schedule_fires PRIMARY KEY (schedule_id, fire_at);


--
-- Name: schedules pk_schedules; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.schedules
    ADD CONSTRAINT pk_schedules PRIMARY KEY (id);


--
-- Name: schema_versions pk_schema_versions; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.schema_versions
    ADD CONSTRAINT pk_schema_versions PRIMARY KEY (id);


--
-- Name: tables pk_tables; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.tables
    ADD CONSTRAINT pk_tables PRIMARY KEY (id);


--
-- Name: uploads pk_uploads; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.uploads
    ADD CONSTRAINT pk_uploads PRIMARY KEY (id);


--
-- Name: users pk_users; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.users
    ADD CONSTRAINT pk_users PRIMARY KEY (id);


--
-- Name: worker_pools pk_worker_pools; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.worker_pools
    ADD CONSTRAINT pk_worker_pools PRIMARY KEY (worker, queue);


--
-- Name: api_keys uq_api_keys_sha256; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.api_keys
    ADD CONSTRAINT uq_api_keys_sha256 UNIQUE (sha256);


--
-- Name: projects uq_projects_uuid; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.projects
    ADD CONSTRAINT uq_projects_uuid UNIQUE (uuid);


--
-- Name: schema_versions uq_schema_versions_table_id; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.schema_versions
    ADD CONSTRAINT uq_schema_versions_table_id UNIQUE (table_id, number);


--
-- Name: users uq_users_email; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.users
    ADD CONSTRAINT uq_users_email UNIQUE (email);


--
-- Name: users uq_users_uuid; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.users
    ADD CONSTRAINT uq_users_uuid UNIQUE (uuid);


--
-- Name: ix_audit_log_created_at; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX ix_audit_log_created_at ON public.audit_log USING btree (created_at);


--
-- Name: ix_audit_log_project; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX ix_audit_log_project ON public.audit_log USING btree (project_id, id);


--
-- Name: ix_batch_items_job_id; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX ix_batch_items_job_id ON public.batch_items USING btree (job_id);


--
-- Name: ix_batches_created_at; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX ix_batches_created_at ON public.batches USING btree (created_at);


--
-- Name: ix_batches_project_id; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX ix_batches_project_id ON public.batches USING btree (project_id);


--
-- Name: ix_credentials_project_id; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX ix_credentials_project_id ON public.credentials USING btree (project_id);


--
-- Name: ix_idempotency_keys_created_at; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX ix_idempotency_keys_created_at ON public.idempotency_keys USING btree (created_at);


--
-- Name: ix_idempotency_keys_size; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX ix_idempotency_keys_size ON public.idempotency_keys USING btree (project_id, size_bytes);


--
-- Name: ix_job_attempts_ended_at; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX ix_job_attempts_ended_at ON public.job_attempts USING btree (ended_at);


--
-- Name: ix_jobs_batch; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX ix_jobs_batch ON public.jobs USING btree (batch_id, state);


--
-- Name: ix_jobs_due; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX ix_jobs_due ON public.jobs USING btree (state, next_run_at);


--
-- Name: ix_jobs_finished; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX ix_jobs_finished ON public.jobs USING btree (finished_at) WHERE (finished_at IS NOT NULL);


--
-- Name: ix_jobs_project_newest; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX ix_jobs_project_newest ON public.jobs USING btree (project_id, id);


--
-- Name: ix_jobs_rung; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX ix_jobs_rung ON public.jobs USING btree (project_id) WHERE (((state)::text = 'queued'::text) AND (rung_at IS NOT NULL));


--
-- Name: ix_jobs_running; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX ix_jobs_running ON public.jobs USING btree (project_id) WHERE ((state)::text = 'running'::text);


--
-- Name: ix_jobs_table; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX ix_jobs_table ON public.jobs USING btree (table_id, id);


--
-- Name: ix_jobs_table_state; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX ix_jobs_table_state ON public.jobs USING btree (table_id, state, next_run_at);


--
-- Name: ix_jobs_unrung; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX ix_jobs_unrung ON public.jobs USING btree (project_id, queue, next_run_at, id) WHERE (((state)::text = 'queued'::text) AND (rung_at IS NULL));


--
-- Name: ix_jobs_upload; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX ix_jobs_upload ON public.jobs USING btree (upload_id) WHERE (upload_id IS NOT NULL);


--
-- Name: ix_jobs_yielded; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX ix_jobs_yielded ON public.jobs USING btree (project_id) WHERE (yielded_at IS NOT NULL);


--
-- Name: ix_schedule_fires_batch_id; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX ix_schedule_fires_batch_id ON public.schedule_fires USING btree (batch_id);


--
-- Name: ix_schedules_due; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX ix_schedules_due ON public.schedules USING btree (paused, next_fire_at);


--
-- Name: ix_schedules_project_id; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX ix_schedules_project_id ON public.schedules USING btree (project_id);


--
-- Name: ix_tables_project_newest; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX ix_tables_project_newest ON public.tables USING btree (project_id, created_at, id);


--
-- Name: ix_tables_schema_bytes; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX ix_tables_schema_bytes ON public.tables USING btree (project_id, schema_bytes);


--
-- Name: ix_uploads_state; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX ix_uploads_state ON public.uploads USING btree (state, changed_at);


--
-- Name: uq_jobs_running; Type: INDEX; Schema: public; Owner: -
--

CREATE UNIQUE INDEX uq_jobs_running ON public.jobs USING btree (table_id, kind) WHERE ((state)::text = 'running'::text);


--
-- Name: uq_jobs_waiting; Type: INDEX; Schema: public; Owner: -
--

CREATE UNIQUE INDEX uq_jobs_waiting ON public.jobs USING btree (table_id, kind) WHERE (((state)::text = 'queued'::text) AND (attempt = 0) AND ((kind)::text <> 'ingest_file'::text));


--
-- Name: uq_tables_live_name; Type: INDEX; Schema: public; Owner: -
--

CREATE UNIQUE INDEX uq_tables_live_name ON public.tables USING btree (project_id, name) WHERE (deleted = false);


--
-- Name: api_keys fk_api_keys_user_id_users; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.api_keys
    ADD CONSTRAINT fk_api_keys_user_id_users FOREIGN KEY (user_id) REFERENCES public.users(id);


--
-- Name: audit_log fk_audit_log_project_id_projects; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.audit_log
    ADD CONSTRAINT fk_audit_log_project_id_projects FOREIGN KEY (project_id) REFERENCES public.projects(id);


--
-- Name: batch_items fk_batch_items_batch_id_batches; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.batch_items
    ADD CONSTRAINT fk_batch_items_batch_id_batches FOREIGN KEY (batch_id) REFERENCES public.batches(id);


--
-- Name: batch_items fk_batch_items_job_id_jobs; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.batch_items
    ADD CONSTRAINT fk_batch_items_job_id_jobs FOREIGN KEY (job_id) REFERENCES public.jobs(id);


--
-- Name: batch_items fk_batch_items_table_id_tables; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.batch_items
    ADD CONSTRAINT fk_batch_items_table_id_tables FOREIGN KEY (table_id) REFERENCES public.tables(id);


--
-- Name: batches fk_batches_created_by_id_users; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.batches
    ADD CONSTRAINT fk_batches_created_by_id_users FOREIGN KEY (created_by_id) REFERENCES public.users(id);


--
-- Name: batches fk_batches_project_id_projects; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.batches
    ADD CONSTRAINT fk_batches_project_id_projects FOREIGN KEY (project_id) REFERENCES public.projects(id);


--
-- Name: credentials fk_credentials_created_by_id_users; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.credentials
    ADD CONSTRAINT fk_credentials_created_by_id_users FOREIGN KEY (created_by_id) REFERENCES public.users(id);


--
-- Name: credentials fk_credentials_project_id_projects; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.credentials
    ADD CONSTRAINT fk_credentials_project_id_projects FOREIGN KEY (project_id) REFERENCES public.projects(id);


--
-- Name: idempotency_keys fk_idempotency_keys_project_id_projects; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.idempotency_keys
    ADD CONSTRAINT fk_idempotency_keys_project_id_projects FOREIGN KEY (project_id) REFERENCES public.projects(id);


--
-- Name: job_attempts fk_job_attempts_job_id_jobs; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.job_attempts
    ADD CONSTRAINT fk_job_attempts_job_id_jobs FOREIGN KEY (job_id) REFERENCES public.jobs(id);


--
-- Name: jobs fk_jobs_batch_id_batches; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.jobs
    ADD CONSTRAINT fk_jobs_batch_id_batches FOREIGN KEY (batch_id) REFERENCES public.batches(id);


--
-- Name: jobs fk_jobs_created_by_id_users; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.jobs
    ADD CONSTRAINT fk_jobs_created_by_id_users FOREIGN KEY (created_by_id) REFERENCES public.users(id);


--
-- Name: jobs fk_jobs_project_id_projects; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.jobs
    ADD CONSTRAINT fk_jobs_project_id_projects FOREIGN KEY (project_id) REFERENCES public.projects(id);


--
-- Name: jobs fk_jobs_table_id_tables; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.jobs
    ADD CONSTRAINT fk_jobs_table_id_tables FOREIGN KEY (table_id) REFERENCES public.tables(id);


--
-- Name: jobs fk_jobs_upload_id_uploads; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.jobs
    ADD CONSTRAINT fk_jobs_upload_id_uploads FOREIGN KEY (upload_id) REFERENCES public.uploads(id);


--
-- Name: schedule_fires fk_schedule_fires_batch_id_batches; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.schedule_fires
    ADD CONSTRAINT fk_schedule_fires_batch_id_batches FOREIGN KEY (batch_id) REFERENCES public.batches(id);


--
-- Name: schedule_fires fk_schedule_fires_schedule_id_schedules; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.schedule_fires
    ADD CONSTRAINT fk_schedule_fires_schedule_id_schedules FOREIGN KEY (schedule_id) REFERENCES public.schedules(id) ON DELETE CASCADE;


--
-- Name: schedules fk_schedules_created_by_id_users; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.schedules
    ADD CONSTRAINT fk_schedules_created_by_id_users FOREIGN KEY (created_by_id) REFERENCES public.users(id);


--
-- Name: schedules fk_schedules_project_id_projects; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.schedules
    ADD CONSTRAINT fk_schedules_project_id_projects FOREIGN KEY (project_id) REFERENCES public.projects(id);


--
-- Name: schema_versions fk_schema_versions_table_id_tables; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.schema_versions
    ADD CONSTRAINT fk_schema_versions_table_id_tables FOREIGN KEY (table_id) REFERENCES public.tables(id);


--
-- Name: tables fk_tables_created_by_id_users; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.tables
    ADD CONSTRAINT fk_tables_created_by_id_users FOREIGN KEY (created_by_id) REFERENCES public.users(id);


--
-- Name: tables fk_tables_credential_id_credentials; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.tables
    ADD CONSTRAINT fk_tables_credential_id_credentials FOREIGN KEY (credential_id) REFERENCES public.credentials(id);


--
-- Name: tables fk_tables_project_id_projects; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.tables
    ADD CONSTRAINT fk_tables_project_id_projects FOREIGN KEY (project_id) REFERENCES public.projects(id);


--
-- Name: uploads fk_uploads_created_by_id_users; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.uploads
    ADD CONSTRAINT fk_uploads_created_by_id_users FOREIGN KEY (created_by_id) REFERENCES public.users(id);


--
-- Name: uploads fk_uploads_project_id_projects; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.uploads
    ADD CONSTRAINT fk_uploads_project_id_projects FOREIGN KEY (project_id) REFERENCES public.projects(id);


--
-- PostgreSQL database dump complete
--

\unrestrict bEc6XSaD90glhf0GbF7QeuF9pwIu7WZsD5147wAMFso3ZFvvRddTQEOmWCkGSdn

