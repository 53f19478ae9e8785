BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0007');
CREATE TABLE api_keys (
	id CHAR(32) NOT NULL, 
	label VARCHAR(200) NOT NULL, 
	prefix VARCHAR(20) NOT NULL, 
	sha256 BLOB NOT NULL, 
	scopes JSON NOT NULL, 
	project_ids JSON NOT NULL, 
	user_id INTEGER NOT NULL, 
	created_at DATETIME DEFAULT (strftime('%Y-%m-%d %H:%M:%f', 'now') || '000') NOT NULL, 
	expires_at DATETIME, 
	revoked_at DATETIME, 
	last_used_at DATETIME, 
	CONSTRAINT pk_api_keys PRIMARY KEY (id), 
	CONSTRAINT fk_api_keys_user_id_users FOREIGN KEY(user_id) REFERENCES users (id), 
	CONSTRAINT uq_api_keys_sha256 UNIQUE (sha256)
);
INSERT INTO "api_keys" VALUES('01a22931543275dfafa8b0680d8833b1','','stk_6k2nk7',X'9CC33466957F3E82C29556C79A715BCD6E25F93446B7D4577E4EF8E2B448E648','["*"]','[1]',2,'2026-11-29 21:23:48.402000',NULL,NULL,'2026-11-29 21:26:25.819374');
CREATE TABLE audit_log (
	id CHAR(32) NOT NULL, 
	project_id INTEGER, 
	user_id INTEGER, 
	key_prefix VARCHAR(20), 
	action VARCHAR(64) NOT NULL, 
	subject VARCHAR(64), 
	detail JSON NOT NULL, 
	created_at DATETIME DEFAULT (strftime('%Y-%m-%d %H:%M:%f', 'now') || '000') NOT NULL, 
	CONSTRAINT pk_audit_log PRIMARY KEY (id), 
	CONSTRAINT fk_audit_log_project_id_projects FOREIGN KEY(project_id) REFERENCES projects (id)
);
INSERT INTO "audit_log" VALUES('01a2293154ef76bebb223ac0b1b29d59',1,NULL,NULL,'key.create','01a22931-5432-75df-afa8-b0680d8833b1','{"prefix": "stk_6k2nk7", "scopes": ["*"]}','2026-11-29 21:23:48.617000');
INSERT INTO "audit_log" VALUES('01a229329ee474d1a14ff2407cb46e3b',1,2,'stk_6k2nk7','table.create','01a22932-9ec1-746e-b826-c38e0425667f','{"name": "t_404cb109"}','2026-11-29 21:25:13.060000');
INSERT INTO "audit_log" VALUES('01a22932a1b3736e9fb523cb83520e35',1,2,'stk_6k2nk7','table.create','01a22932-a19c-74d0-85d0-38a2726713c7','{"name": "t_16c09f79"}','2026-11-29 21:25:13.794000');
INSERT INTO "audit_log" VALUES('01a22932a63b76328d64dbdce67d473c',1,2,'stk_6k2nk7','table.create','01a22932-a625-74bd-8993-06b280b59324','{"name": "t_0064baca"}','2026-11-29 21:25:14.939000');
INSERT INTO "audit_log" VALUES('01a22932b24d720d81be926c5bccbe29',1,2,'stk_6k2nk7','upload.store','01a22932-aaf4-7678-adfb-83830c8dda2b','{"size_bytes": 62}','2026-11-29 21:25:18.039000');
INSERT INTO "audit_log" VALUES('01a22932b274756cbce537946d835ce5',1,2,'stk_6k2nk7','table.create','01a22932-b271-7075-9891-55f41101de99','{"name": "ledger"}','2026-11-29 21:25:18.068000');
INSERT INTO "audit_log" VALUES('01a22932b2b8713baa5df96d15713591',1,2,'stk_6k2nk7','table.upload','01a22932-b271-7075-9891-55f41101de99','{"upload_id": "01a22932-aaf4-7678-adfb-83830c8dda2b", "target": "delta"}','2026-11-29 21:25:18.136000');
INSERT INTO "audit_log" VALUES('01a22932e370762f8de758df703fad75',1,2,'stk_6k2nk7','table.rename','01a22932-9ec1-746e-b826-c38e0425667f','{"old": "t_404cb109", "new": "orders"}','2026-11-29 21:25:30.608000');
INSERT INTO "audit_log" VALUES('01a22932e53c75ea93d7498929a14d4b',1,2,'stk_6k2nk7','table.update_schema','01a22932-a19c-74d0-85d0-38a2726713c7','{"columns": ["column_0"]}','2026-11-29 21:25:31.068000');
INSERT INTO "audit_log" VALUES('01a22932e80c72ee9bf7b5777629278c',1,2,'stk_6k2nk7','batch.create','01a22932-e7c5-7356-ad20-323087245cc1','{}','2026-11-29 21:25:31.788000');
INSERT INTO "audit_log" VALUES('01a22932eb63776194dde6359c6970d1',1,2,'stk_6k2nk7','schedule.create','01a22932-eb3b-7049-871e-d466954cd0b0','{}','2026-11-29 21:25:32.643000');
INSERT INTO "audit_log" VALUES('01a22932ee88756aa6624dfb4b6d5219',1,2,'stk_6k2nk7','schedule.run','01a22932-eb3b-7049-871e-d466954cd0b0','{"batch_id": "01a22932-ee4c-7270-9fea-cbe04a25966a"}','2026-11-29 21:25:33.448000');
INSERT INTO "audit_log" VALUES('01a22932f505705c82975442f16daf6e',1,2,'stk_6k2nk7','upload.store','01a22932-f37c-7580-9f8f-00fc26f31ac6','{"size_bytes": 46}','2026-11-29 21:25:35.109000');
INSERT INTO "audit_log" VALUES('01a22932f572738d85e2d650a6c7f63d',1,2,'stk_6k2nk7','table.upload','01a22932-b271-7075-9891-55f41101de99','{"upload_id": "01a22932-f37c-7580-9f8f-00fc26f31ac6", "target": "delta"}','2026-11-29 21:25:35.218000');
INSERT INTO "audit_log" VALUES('01a22932f7c17438a41a96c8ac43433a',1,2,'stk_6k2nk7','table.delete','01a22932-a625-74bd-8993-06b280b59324','{"name": "t_0064baca"}','2026-11-29 21:25:35.809000');
INSERT INTO "audit_log" VALUES('01a22932f8f0772d8f5b3650baca0f21',1,2,'stk_6k2nk7','table.create','01a22932-f8ef-7784-b17a-ce9b6f66704d','{"name": "missing"}','2026-11-29 21:25:36.112000');
INSERT INTO "audit_log" VALUES('01a229332df57230a87af057c189cf1d',1,2,'stk_6k2nk7','table.create','01a22933-2dca-725f-b073-ce758bf86fa6','{"name": "guarded"}','2026-11-29 21:25:49.685000');
INSERT INTO "audit_log" VALUES('01a229332f2d75d7a7f0413494a66be2',1,2,'stk_6k2nk7','job.cancel','01a22933-2e14-7560-b42e-4ae1ff2aa39c','{}','2026-11-29 21:25:49.997000');
INSERT INTO "audit_log" VALUES('01a22933bc4c71a1a3f726e97b2a78fe',1,2,'stk_6k2nk7','upload.store','01a22933-bbd7-706f-a61c-e4b788e4dd1d','{"size_bytes": 78}','2026-11-29 21:26:26.124000');
INSERT INTO "audit_log" VALUES('01a22933bc8e718bbc704f18b82f544a',1,2,'stk_6k2nk7','table.upload','01a22932-b271-7075-9891-55f41101de99','{"upload_id": "01a22933-bbd7-706f-a61c-e4b788e4dd1d", "target": "delta"}','2026-11-29 21:26:26.190000');
INSERT INTO "audit_log" VALUES('01a22933e0fe7382b9a5ced5597887ac',1,2,'stk_6k2nk7','upload.store','01a22933-e03f-7750-acbb-3c95ccb020a0','{"size_bytes": 94}','2026-11-29 21:26:35.518000');
INSERT INTO "audit_log" VALUES('01a22933e1427246b128393ae6cbb2cb',1,2,'stk_6k2nk7','table.upload','01a22932-b271-7075-9891-55f41101de99','{"upload_id": "01a22933-e03f-7750-acbb-3c95ccb020a0", "target": "delta"}','2026-11-29 21:26:35.590000');
INSERT INTO "audit_log" VALUES('01a22933e30c73229b0ce7914385a33f',1,2,'stk_6k2nk7','batch.create','01a22933-e2c3-7125-8ab7-7b3b0a5b0d48','{}','2026-11-29 21:26:36.044000');
CREATE TABLE batch_items (
	batch_id CHAR(32) NOT NULL, 
	table_id CHAR(32) NOT NULL, 
	job_id CHAR(32) NOT NULL, 
	CONSTRAINT pk_batch_items PRIMARY KEY (batch_id, table_id), 
	CONSTRAINT fk_batch_items_batch_id_batches FOREIGN KEY(batch_id) REFERENCES batches (id), 
	CONSTRAINT fk_batch_items_job_id_jobs FOREIGN KEY(job_id) REFERENCES jobs (id), 
	CONSTRAINT fk_batch_items_table_id_tables FOREIGN KEY(table_id) REFERENCES tables (id)
);
INSERT INTO "batch_items" VALUES('01a22932e7c57356ad20323087245cc1','01a229329ec1746eb826c38e0425667f','01a22932ec0b729ca8bfb71a09eaa47b');
INSERT INTO "batch_items" VALUES('01a22932e7c57356ad20323087245cc1','01a22932a19c74d085d038a2726713c7','01a22932ec0b729ca8bfb71b59d6cc9c');
INSERT INTO "batch_items" VALUES('01a22932e7c57356ad20323087245cc1','01a22932a62574bd899306b280b59324','01a22932ec0b729ca8bfb71c33e00b5c');
INSERT INTO "batch_items" VALUES('01a22932e7c57356ad20323087245cc1','01a22932b2717075989155f41101de99','01a22932ec0b729ca8bfb71dd2b5dbab');
INSERT INTO "batch_items" VALUES('01a22932ee4c72709feacbe04a25966a','01a229329ec1746eb826c38e0425667f','01a22932fbc3732ebb1cb5a14eb5aac2');
INSERT INTO "batch_items" VALUES('01a22932ee4c72709feacbe04a25966a','01a22932a19c74d085d038a2726713c7','01a22932fbc472c88a877aca37fcb7f7');
INSERT INTO "batch_items" VALUES('01a22932ee4c72709feacbe04a25966a','01a22932b2717075989155f41101de99','01a22932fbc472c88a877acbce3fb6f8');
INSERT INTO "batch_items" VALUES('01a22932ee4c72709feacbe04a25966a','01a22932f8ef7784b17ace9b6f66704d','01a22932f9037680b980fe5e0dbc0a36');
CREATE TABLE batches (
	id CHAR(32) NOT NULL, 
	project_id INTEGER NOT NULL, 
	selector JSON NOT NULL, 
	schedule_id CHAR(32), 
	expanded_to CHAR(32), 
	expanded_at DATETIME, 
	cancelled_at DATETIME, 
	created_by_id INTEGER, 
	created_at DATETIME DEFAULT (strftime('%Y-%m-%d %H:%M:%f', 'now') || '000') NOT NULL, 
	CONSTRAINT pk_batches PRIMARY KEY (id), 
	CONSTRAINT fk_batches_created_by_id_users FOREIGN KEY(created_by_id) REFERENCES users (id), 
	CONSTRAINT fk_batches_project_id_projects FOREIGN KEY(project_id) REFERENCES projects (id)
);
INSERT INTO "batches" VALUES('01a22932e7c57356ad20323087245cc1',1,'{"all": true}',NULL,NULL,'2026-11-29 21:25:33.160000',NULL,2,'2026-11-29 21:25:31.717000');
INSERT INTO "batches" VALUES('01a22932ee4c72709feacbe04a25966a',1,'{"all": true}','01a22932eb3b7049871ed466954cd0b0',NULL,'2026-11-29 21:25:36.976000',NULL,2,'2026-11-29 21:25:33.388000');
INSERT INTO "batches" VALUES('01a22933e2c371258ab77b3b0a5b0d48',1,'{"all": true}',NULL,NULL,NULL,NULL,2,'2026-11-29 21:26:35.979000');
CREATE TABLE canaries (
	queue VARCHAR(20) NOT NULL, 
	id CHAR(32) NOT NULL, 
	sent_at DATETIME NOT NULL, 
	rung_at DATETIME NOT NULL, 
	started_at DATETIME, 
	worker VARCHAR(200), 
	ended_at DATETIME, 
	last_ended_at DATETIME, 
	CONSTRAINT pk_canaries PRIMARY KEY (queue)
);
INSERT INTO "canaries" VALUES('interactive','01a229332a9570038f90600a8033a3f3','2026-11-29 21:25:48.833000','2026-11-29 21:25:48.833000','2026-11-29 21:26:31.178000','worker-15ac1fc5@test/e91ba8/313','2026-11-29 21:26:32.587000','2026-11-29 21:26:32.587000');
CREATE TABLE clock_beats (
	node VARCHAR(200) NOT NULL, 
	ticked_at DATETIME DEFAULT (strftime('%Y-%m-%d %H:%M:%f', 'now') || '000') NOT NULL, 
	CONSTRAINT pk_clock_beats PRIMARY KEY (node)
);
INSERT INTO "clock_beats" VALUES('vm/26682','2026-11-29 21:25:48.848000');
CREATE TABLE counters (
	name VARCHAR(64) NOT NULL, 
	label VARCHAR(64) NOT NULL, 
	value BIGINT NOT NULL, 
	counted_to DATETIME, 
	CONSTRAINT pk_counters PRIMARY KEY (name, label)
);
INSERT INTO "counters" VALUES('attempts_tallied','',0,'2026-11-29 21:25:36.034000');
INSERT INTO "counters" VALUES('attempts','succeeded',10,NULL);
CREATE TABLE credentials (
	id CHAR(32) NOT NULL, 
	project_id INTEGER NOT NULL, 
	key_id VARCHAR(64) NOT NULL, 
	ciphertext BLOB NOT NULL, 
	created_by_id INTEGER, 
	created_at DATETIME DEFAULT (strftime('%Y-%m-%d %H:%M:%f', 'now') || '000') NOT NULL, 
	CONSTRAINT pk_credentials PRIMARY KEY (id), 
	CONSTRAINT fk_credentials_created_by_id_users FOREIGN KEY(created_by_id) REFERENCES users (id), 
	CONSTRAINT fk_credentials_project_id_projects FOREIGN KEY(project_id) REFERENCES projects (id)
);
INSERT INTO "credentials" VALUES('01a229332de57793afe9ddfdecb776c2',1,'recorded',X'FB331A204794D265CB9A3D59F66872A4CDCCBB437A7777E85ACEE2D3BF3604C2C0AA98B1BFCD44E6ED3865BDDDD9FBDCDF50FD50',2,'2026-11-29 21:25:49.684000');
CREATE TABLE idempotency_keys (
	project_id INTEGER NOT NULL, 
	"key" VARCHAR(255) NOT NULL, 
	fingerprint BLOB NOT NULL, 
	status INTEGER, 
	headers JSON, 
	body JSON, 
	created_at DATETIME DEFAULT (strftime('%Y-%m-%d %H:%M:%f', 'now') || '000') NOT NULL, size_bytes INTEGER DEFAULT 0 NOT NULL, 
	CONSTRAINT pk_idempotency_keys PRIMARY KEY (project_id, "key"), 
	CONSTRAINT fk_idempotency_keys_project_id_projects FOREIGN KEY(project_id) REFERENCES projects (id)
);
INSERT INTO "idempotency_keys" VALUES(1,'C1JaopJ3ye312nQe',X'73C41AA274291C3B7C772DD9C547C0DA30EACFFDFEF3C950522253439710EC7C',201,'{"Location": "/api/projects/1/jobs/01a22932-9f73-770b-8894-3cc3a4d1c692/", "Retry-After": "1"}','{"status": 201, "body": {"id": "01a22932-9ec1-746e-b826-c38e0425667f", "deleted": false, "name": "t_404cb109", "hogql_name": "t_404cb109", "format": "Delta", "created_by": {"id": 2, "uuid": "01a22931-5255-7715-b16b-056cdd29168c", "distinct_id": null, "first_name": "Operator", "last_name": "", "email": "operator@stocktake.invalid", "is_email_verified": true, "hedgehog_config": null, "role_at_organization": null}, "created_at": "2026-11-29T21:25:13.025000Z", "created_via": "api", "url_pattern": "file:///@FOLDER@/sources/delta", "credential": null, "columns": [], "external_data_source": null, "external_schema": null, "options": {"delta_count": true}, "user_access_level": "editor", "row_count": null, "size_bytes": null, "source_version": null, "schema_version": 0, "last_refreshed_at": null, "latest_job": {"id": "01a22932-9f73-770b-8894-3cc3a4d1c692", "kind": "refresh_schema", "state": "queued", "done": false, "error": null, "created_at": "2026-11-29T21:25:13.240000Z", "finished_at": null}}}','2026-11-29 21:25:12.899000',955);
INSERT INTO "idempotency_keys" VALUES(1,'kHUaaFXbZ3CDLvdv',X'A52397D1918FCBC452538FE1D49CC8556FC608170B043F66027309AD61145D49',201,'{"Location": "/api/projects/1/jobs/01a22932-a2ac-7007-99b1-fa58100092c3/", "Retry-After": "1"}','{"status": 201, "body": {"id": "01a22932-a19c-74d0-85d0-38a2726713c7", "deleted": false, "name": "t_16c09f79", "hogql_name": "t_16c09f79", "format": "CSVWithNames", "created_by": {"id": 2, "uuid": "01a22931-5255-7715-b16b-056cdd29168c", "distinct_id": null, "first_name": "Operator", "last_name": "", "email": "operator@stocktake.invalid", "is_email_verified": true, "hedgehog_config": null, "role_at_organization": null}, "created_at": "2026-11-29T21:25:13.756000Z", "created_via": "api", "url_pattern": "file:///@FOLDER@/sources/numbers.csv", "credential": null, "columns": [], "external_data_source": null, "external_schema": null, "options": {}, "user_access_level": "editor", "row_count": null, "size_bytes": null, "source_version": null, "schema_version": 0, "last_refreshed_at": null, "latest_job": {"id": "01a22932-a2ac-7007-99b1-fa58100092c3", "kind": "refresh_schema", "state": "queued", "done": false, "error": null, "created_at": "2026-11-29T21:25:14.035000Z", "finished_at": null}}}','2026-11-29 21:25:13.657000',950);
INSERT INTO "idempotency_keys" VALUES(1,'FsBizrx2X8UW1DoI',X'26D27BAE825A9BCED822075902AD16C0679709B054FBE1D65158E813DA91F7F4',201,'{"Location": "/api/projects/1/jobs/01a22932-a64c-741f-b730-7a68fa535e7b/", "Retry-After": "1"}','{"status": 201, "body": {"id": "01a22932-a625-74bd-8993-06b280b59324", "deleted": false, "name": "t_0064baca", "hogql_name": "t_0064baca", "format": "Delta", "created_by": {"id": 2, "uuid": "01a22931-5255-7715-b16b-056cdd29168c", "distinct_id": null, "first_name": "Operator", "last_name": "", "email": "operator@stocktake.invalid", "is_email_verified": true, "hedgehog_config": null, "role_at_organization": null}, "created_at": "2026-11-29T21:25:14.917000Z", "created_via": "api", "url_pattern": "file:///@FOLDER@/sources/delta", "credential": null, "columns": [], "external_data_source": null, "external_schema": null, "options": {"delta_count": true}, "user_access_level": "editor", "row_count": null, "size_bytes": null, "source_version": null, "schema_version": 0, "last_refreshed_at": null, "latest_job": {"id": "01a22932-a64c-741f-b730-7a68fa535e7b", "kind": "refresh_schema", "state": "queued", "done": false, "error": null, "created_at": "2026-11-29T21:25:15.004000Z", "finished_at": null}}}','2026-11-29 21:25:14.881000',955);
INSERT INTO "idempotency_keys" VALUES(1,'N4o20upT6R3k436l',X'E21B31D5B5C16FFBDD35EEE2614B2CA1887D83F2BDA8CB1BF51B8B4792E50A67',201,'{"Location": "/api/projects/1/jobs/01a22932-b29c-7457-b532-82d725a0b460/", "Retry-After": "1"}','{"status": 201, "body": {"id": "01a22932-b271-7075-9891-55f41101de99", "deleted": false, "name": "ledger", "hogql_name": "ledger", "format": "Delta", "created_by": {"id": 2, "uuid": "01a22931-5255-7715-b16b-056cdd29168c", "distinct_id": null, "first_name": "Operator", "last_name": "", "email": "operator@stocktake.invalid", "is_email_verified": true, "hedgehog_config": null, "role_at_organization": null}, "created_at": "2026-11-29T21:25:18.067000Z", "created_via": "api", "url_pattern": "managed:///delta/1/01a22932-b271-7075-9891-55f41101de99", "credential": null, "columns": [], "external_data_source": null, "external_schema": null, "options": {}, "user_access_level": "editor", "row_count": null, "size_bytes": null, "source_version": null, "schema_version": 0, "last_refreshed_at": null, "latest_job": {"id": "01a22932-b29c-7457-b532-82d725a0b460", "kind": "ingest_file", "state": "queued", "done": false, "error": null, "created_at": "2026-11-29T21:25:18.109000Z", "finished_at": null}}}','2026-11-29 21:25:18.024000',922);
INSERT INTO "idempotency_keys" VALUES(1,'Bzjy6-y1kX5SM3tc',X'F7F9145B30E86BE00DE73D0856D00D96CBA75C23660D138D20EADD752A455CAC',200,'{}','{"status": 200, "body": {"id": "01a22932-a19c-74d0-85d0-38a2726713c7", "deleted": false, "name": "t_16c09f79", "hogql_name": "t_16c09f79", "format": "CSVWithNames", "created_by": {"id": 2, "uuid": "01a22931-5255-7715-b16b-056cdd29168c", "distinct_id": null, "first_name": "Operator", "last_name": "", "email": "operator@stocktake.invalid", "is_email_verified": true, "hedgehog_config": null, "role_at_organization": null}, "created_at": "2026-11-29T21:25:13.756000Z", "created_via": "api", "url_pattern": "file:///@FOLDER@/sources/numbers.csv", "credential": null, "columns": [{"key": "column_0", "name": "column_0", "type": "string", "schema_valid": true, "fields": null, "table": null, "chain": null}], "external_data_source": null, "external_schema": null, "options": {}, "user_access_level": "editor", "row_count": 20, "size_bytes": 59, "source_version": "b081211dee896371", "schema_version": 2, "last_refreshed_at": "2026-11-29T21:25:18.850000Z", "latest_job": {"id": "01a22932-a2ac-7007-99b1-fa58100092c3", "kind": "refresh_schema", "state": "succeeded", "done": true, "error": null, "created_at": "2026-11-29T21:25:14.035000Z", "finished_at": "2026-11-29T21:25:19.480000Z"}}}','2026-11-29 21:25:30.903000',1124);
INSERT INTO "idempotency_keys" VALUES(1,'eyBPRbQBA97KZ0GF',X'8DD28B78B17AB9341773668845E6640326E73FD766E3F1A023678E2EDAE3CB74',202,'{"Location": "/api/projects/1/jobs/01a22932-e6a2-77ab-af67-592338943578/", "Retry-After": "1"}','{"status": 202, "body": {"id": "01a22932-e6a2-77ab-af67-592338943578", "kind": "refresh_schema", "table_id": "01a22932-9ec1-746e-b826-c38e0425667f", "batch_id": null, "state": "queued", "done": false, "attempt": 0, "max_attempts": 5, "next_run_at": "2026-11-29T21:25:31.463000Z", "deduplicated": false, "progress": null, "result": null, "error": null, "created_at": "2026-11-29T21:25:31.463000Z", "started_at": null, "finished_at": null}}','2026-11-29 21:25:31.380000',404);
INSERT INTO "idempotency_keys" VALUES(1,'K2Tx_EOicIyCjG-c',X'A227138B75DBF2DE87B590E57C0ED41A3DAFCDB1269ED98C0AD9EB32DDAC4355',202,'{"Location": "/api/projects/1/batches/01a22932-e7c5-7356-ad20-323087245cc1/", "Retry-After": "1"}','{"status": 202, "body": {"id": "01a22932-e7c5-7356-ad20-323087245cc1", "state": "expanding", "done": false, "selector": {"all": true}, "schedule_id": null, "expand_job_id": "01a22932-e7f4-7160-9a05-4b7b476d4b24", "total": 0, "counts": {"queued": 0, "running": 0, "succeeded": 0, "failed": 0, "cancelled": 0}, "deduplicated": 0, "finished_share": 0.0, "errors": [], "created_at": "2026-11-29T21:25:31.717000Z", "expanded_at": null, "cancelled_at": null}}','2026-11-29 21:25:31.697000',413);
INSERT INTO "idempotency_keys" VALUES(1,'vZvAuWkn9N4J_Yvw',X'2FC99F341F1EC33530629671D0B7E828B877EA91AF84119D43BC73FFC364FB72',201,'{}','{"status": 201, "body": {"id": "01a22932-eb3b-7049-871e-d466954cd0b0", "name": "yearly", "cron": "0 0 1 1 *", "timezone": "UTC", "jitter_seconds": 0.0, "selector": {"all": true}, "paused": false, "next_fire_at": "2027-01-01T00:00:00Z", "last_fire_at": null, "created_at": "2026-11-29T21:25:32.604000Z"}}','2026-11-29 21:25:32.467000',280);
INSERT INTO "idempotency_keys" VALUES(1,'DrDhCQHx8WNamMnb',X'DF734933F0E21F4AEA6FE72CABD166C6B6EFE4D39EAF5AF214AEFD90A8F34517',202,'{"Location": "/api/projects/1/batches/01a22932-ee4c-7270-9fea-cbe04a25966a/", "Retry-After": "1"}','{"status": 202, "body": {"id": "01a22932-ee4c-7270-9fea-cbe04a25966a", "state": "expanding", "done": false, "selector": {"all": true}, "schedule_id": "01a22932-eb3b-7049-871e-d466954cd0b0", "expand_job_id": "01a22932-ee7b-70eb-98e0-21a4a35fb8cd", "total": 0, "counts": {"queued": 0, "running": 0, "succeeded": 0, "failed": 0, "cancelled": 0}, "deduplicated": 0, "finished_share": 0.0, "errors": [], "created_at": "2026-11-29T21:25:33.388000Z", "expanded_at": null, "cancelled_at": null}}','2026-11-29 21:25:33.386000',447);
INSERT INTO "idempotency_keys" VALUES(1,'BXk6YqbekQ-TMkxR',X'3430FEB7CE6471852C109CDB5FA4F36E68BBA8B1DBD68BE081731CB430017743',201,'{"Location": "/api/projects/1/jobs/01a22932-f542-76bd-aaa1-1d8ba6485e2f/", "Retry-After": "1"}','{"status": 201, "body": {"id": "01a22932-b271-7075-9891-55f41101de99", "deleted": false, "name": "ledger", "hogql_name": "ledger", "format": "Delta", "created_by": {"id": 2, "uuid": "01a22931-5255-7715-b16b-056cdd29168c", "distinct_id": null, "first_name": "Operator", "last_name": "", "email": "operator@stocktake.invalid", "is_email_verified": true, "hedgehog_config": null, "role_at_organization": null}, "created_at": "2026-11-29T21:25:18.067000Z", "created_via": "api", "url_pattern": "managed:///delta/1/01a22932-b271-7075-9891-55f41101de99", "credential": null, "columns": [{"key": "marker", "name": "marker", "type": "string", "schema_valid": true, "fields": null, "table": null, "chain": null}, {"key": "number", "name": "number", "type": "integer", "schema_valid": true, "fields": null, "table": null, "chain": null}], "external_data_source": null, "external_schema": null, "options": {}, "user_access_level": "editor", "row_count": 3, "size_bytes": null, "source_version": 1, "schema_version": 1, "last_refreshed_at": "2026-11-29T21:25:29.741000Z", "latest_job": {"id": "01a22932-f542-76bd-aaa1-1d8ba6485e2f", "kind": "ingest_file", "state": "queued", "done": false, "error": null, "created_at": "2026-11-29T21:25:35.217000Z", "finished_at": null}}}','2026-11-29 21:25:35.107000',1159);
INSERT INTO "idempotency_keys" VALUES(1,'NeaQJk2NYJLzAZUW',X'9CD1042DAE7A6986B1C1EC6C0E423AF063C00328CFAA1484AC10D3F932690EDB',201,'{"Location": "/api/projects/1/jobs/01a22932-f903-7680-b980-fe5e0dbc0a36/", "Retry-After": "1"}','{"status": 201, "body": {"id": "01a22932-f8ef-7784-b17a-ce9b6f66704d", "deleted": false, "name": "missing", "hogql_name": "missing", "format": "Parquet", "created_by": {"id": 2, "uuid": "01a22931-5255-7715-b16b-056cdd29168c", "distinct_id": null, "first_name": "Operator", "last_name": "", "email": "operator@stocktake.invalid", "is_email_verified": true, "hedgehog_config": null, "role_at_organization": null}, "created_at": "2026-11-29T21:25:36.111000Z", "created_via": "api", "url_pattern": "file:///@FOLDER@/sources/missing/*.parquet", "credential": null, "columns": [], "external_data_source": null, "external_schema": null, "options": {}, "user_access_level": "editor", "row_count": null, "size_bytes": null, "source_version": null, "schema_version": 0, "last_refreshed_at": null, "latest_job": {"id": "01a22932-f903-7680-b980-fe5e0dbc0a36", "kind": "refresh_schema", "state": "queued", "done": false, "error": null, "created_at": "2026-11-29T21:25:36.132000Z", "finished_at": null}}}','2026-11-29 21:25:36.068000',945);
INSERT INTO "idempotency_keys" VALUES(1,'kXPdrTeZUek5uQMR',X'4CC043873C6AC7BEAD8CC6BCAE25556A9773B382D8FF0C6056CB6B75F3F293F2',201,'{"Location": "/api/projects/1/jobs/01a22933-2e14-7560-b42e-4ae1ff2aa39c/", "Retry-After": "1"}','{"status": 201, "body": {"id": "01a22933-2dca-725f-b073-ce758bf86fa6", "deleted": false, "name": "guarded", "hogql_name": "guarded", "format": "Parquet", "created_by": {"id": 2, "uuid": "01a22931-5255-7715-b16b-056cdd29168c", "distinct_id": null, "first_name": "Operator", "last_name": "", "email": "operator@stocktake.invalid", "is_email_verified": true, "hedgehog_config": null, "role_at_organization": null}, "created_at": "2026-11-29T21:25:49.642000Z", "created_via": "api", "url_pattern": "http://127.0.0.1:9/bucket/*.parquet", "credential": {"id": "01a22933-2de5-7793-afe9-ddfdecb776c2", "created_by": null, "created_at": "2026-11-29T21:25:49.684000Z"}, "columns": [], "external_data_source": null, "external_schema": null, "options": {}, "user_access_level": "editor", "row_count": null, "size_bytes": null, "source_version": null, "schema_version": 0, "last_refreshed_at": null, "latest_job": {"id": "01a22933-2e14-7560-b42e-4ae1ff2aa39c", "kind": "refresh_schema", "state": "queued", "done": false, "error": null, "created_at": "2026-11-29T21:25:49.730000Z", "finished_at": null}}}','2026-11-29 21:25:49.640000',1011);
INSERT INTO "idempotency_keys" VALUES(1,'G29palIXwovjTE2R',X'8DE4FAE9C1F509D15B2D45AB3083B3EBE239A04C0C834625185A6E485EF0C152',202,'{"Location": "/api/projects/1/jobs/01a22933-2e14-7560-b42e-4ae1ff2aa39c/", "Retry-After": "1"}','{"status": 202, "body": {"id": "01a22933-2e14-7560-b42e-4ae1ff2aa39c", "kind": "refresh_schema", "table_id": "01a22933-2dca-725f-b073-ce758bf86fa6", "batch_id": null, "state": "cancelled", "done": true, "attempt": 0, "max_attempts": 5, "next_run_at": "2026-11-29T21:25:49.730000Z", "deduplicated": false, "progress": null, "result": null, "error": {"code": "cancelled", "retryable": false, "detail": "The job was cancelled.", "hint": null, "file": null}, "created_at": "2026-11-29T21:25:49.730000Z", "started_at": null, "finished_at": "2026-11-29T21:25:49.938000Z"}}','2026-11-29 21:25:49.901000',523);
INSERT INTO "idempotency_keys" VALUES(1,'2hAvbx1AFsHkot11',X'8DD28B78B17AB9341773668845E6640326E73FD766E3F1A023678E2EDAE3CB74',202,'{"Location": "/api/projects/1/jobs/01a22933-bb35-7669-831b-0b6ea23b5ff5/", "Retry-After": "1"}','{"status": 202, "body": {"id": "01a22933-bb35-7669-831b-0b6ea23b5ff5", "kind": "refresh_schema", "table_id": "01a22932-9ec1-746e-b826-c38e0425667f", "batch_id": null, "state": "queued", "done": false, "attempt": 0, "max_attempts": 5, "next_run_at": "2026-11-29T21:26:25.846000Z", "deduplicated": false, "progress": null, "result": null, "error": null, "created_at": "2026-11-29T21:26:25.846000Z", "started_at": null, "finished_at": null}}','2026-11-29 21:26:25.843000',404);
INSERT INTO "idempotency_keys" VALUES(1,'1ZqJyDcGHp7ipZ1C',X'EEDA7FE565532D62755CEBB03425010CD77C941D2514953E1F39ADAA344136B9',201,'{"Location": "/api/projects/1/jobs/01a22933-bc6d-77a6-899d-a34f8ef9d088/", "Retry-After": "1"}','{"status": 201, "body": {"id": "01a22932-b271-7075-9891-55f41101de99", "deleted": false, "name": "ledger", "hogql_name": "ledger", "format": "Delta", "created_by": {"id": 2, "uuid": "01a22931-5255-7715-b16b-056cdd29168c", "distinct_id": null, "first_name": "Operator", "last_name": "", "email": "operator@stocktake.invalid", "is_email_verified": true, "hedgehog_config": null, "role_at_organization": null}, "created_at": "2026-11-29T21:25:18.067000Z", "created_via": "api", "url_pattern": "managed:///delta/1/01a22932-b271-7075-9891-55f41101de99", "credential": null, "columns": [{"key": "marker", "name": "marker", "type": "string", "schema_valid": true, "fields": null, "table": null, "chain": null}, {"key": "number", "name": "number", "type": "integer", "schema_valid": true, "fields": null, "table": null, "chain": null}], "external_data_source": null, "external_schema": null, "options": {}, "user_access_level": "editor", "row_count": 5, "size_bytes": null, "source_version": 2, "schema_version": 1, "last_refreshed_at": "2026-11-29T21:25:38.664000Z", "latest_job": {"id": "01a22933-bc6d-77a6-899d-a34f8ef9d088", "kind": "ingest_file", "state": "queued", "done": false, "error": null, "created_at": "2026-11-29T21:26:26.176000Z", "finished_at": null}}}','2026-11-29 21:26:26.106000',1159);
INSERT INTO "idempotency_keys" VALUES(1,'fWAv8Bwt5aYe43Dh',X'8DD28B78B17AB9341773668845E6640326E73FD766E3F1A023678E2EDAE3CB74',202,'{"Location": "/api/projects/1/jobs/01a22933-ddf2-7130-957e-6bdba4118176/", "Retry-After": "1"}','{"status": 202, "body": {"id": "01a22933-ddf2-7130-957e-6bdba4118176", "kind": "refresh_schema", "table_id": "01a22932-9ec1-746e-b826-c38e0425667f", "batch_id": null, "state": "queued", "done": false, "attempt": 0, "max_attempts": 5, "next_run_at": "2026-11-29T21:26:34.788000Z", "deduplicated": false, "progress": null, "result": null, "error": null, "created_at": "2026-11-29T21:26:34.788000Z", "started_at": null, "finished_at": null}}','2026-11-29 21:26:34.736000',404);
INSERT INTO "idempotency_keys" VALUES(1,'vdYj2pBRHHIjk1gf',X'3B320A570DCB2B6E67AB0E21BE715D291355B817E82059630B1CB9FB261F5779',202,'{"Location": "/api/projects/1/jobs/01a22933-df48-73e8-9854-119a2ef80f00/", "Retry-After": "1"}','{"status": 202, "body": {"id": "01a22933-df48-73e8-9854-119a2ef80f00", "kind": "refresh_schema", "table_id": "01a22932-a19c-74d0-85d0-38a2726713c7", "batch_id": null, "state": "queued", "done": false, "attempt": 0, "max_attempts": 5, "next_run_at": "2026-11-29T21:26:35.081000Z", "deduplicated": false, "progress": null, "result": null, "error": null, "created_at": "2026-11-29T21:26:35.081000Z", "started_at": null, "finished_at": null}}','2026-11-29 21:26:35.010000',404);
INSERT INTO "idempotency_keys" VALUES(1,'_p6yhOsVxWAHuZ6m',X'EA5A531917D5A8FA442299A9CF196F3A9EFBE652D693E8C868BD820C423D9562',201,'{"Location": "/api/projects/1/jobs/01a22933-e11e-711d-b946-0076df9024ba/", "Retry-After": "1"}','{"status": 201, "body": {"id": "01a22932-b271-7075-9891-55f41101de99", "deleted": false, "name": "ledger", "hogql_name": "ledger", "format": "Delta", "created_by": {"id": 2, "uuid": "01a22931-5255-7715-b16b-056cdd29168c", "distinct_id": null, "first_name": "Operator", "last_name": "", "email": "operator@stocktake.invalid", "is_email_verified": true, "hedgehog_config": null, "role_at_organization": null}, "created_at": "2026-11-29T21:25:18.067000Z", "created_via": "api", "url_pattern": "managed:///delta/1/01a22932-b271-7075-9891-55f41101de99", "credential": null, "columns": [{"key": "marker", "name": "marker", "type": "string", "schema_valid": true, "fields": null, "table": null, "chain": null}, {"key": "number", "name": "number", "type": "integer", "schema_valid": true, "fields": null, "table": null, "chain": null}], "external_data_source": null, "external_schema": null, "options": {}, "user_access_level": "editor", "row_count": 5, "size_bytes": null, "source_version": 2, "schema_version": 1, "last_refreshed_at": "2026-11-29T21:25:38.664000Z", "latest_job": {"id": "01a22933-e11e-711d-b946-0076df9024ba", "kind": "ingest_file", "state": "queued", "done": false, "error": null, "created_at": "2026-11-29T21:26:35.568000Z", "finished_at": null}}}','2026-11-29 21:26:35.471000',1159);
INSERT INTO "idempotency_keys" VALUES(1,'ZTM9_6I8XYXXUTpV',X'A227138B75DBF2DE87B590E57C0ED41A3DAFCDB1269ED98C0AD9EB32DDAC4355',202,'{"Location": "/api/projects/1/batches/01a22933-e2c3-7125-8ab7-7b3b0a5b0d48/", "Retry-After": "1"}','{"status": 202, "body": {"id": "01a22933-e2c3-7125-8ab7-7b3b0a5b0d48", "state": "expanding", "done": false, "selector": {"all": true}, "schedule_id": null, "expand_job_id": "01a22933-e2e4-76bd-8fee-ece5e437e290", "total": 0, "counts": {"queued": 0, "running": 0, "succeeded": 0, "failed": 0, "cancelled": 0}, "deduplicated": 0, "finished_share": 0.0, "errors": [], "created_at": "2026-11-29T21:26:35.979000Z", "expanded_at": null, "cancelled_at": null}}','2026-11-29 21:26:35.946000',413);
INSERT INTO "idempotency_keys" VALUES(1,'uyDwQogPSAIUVVC8',X'3B320A570DCB2B6E67AB0E21BE715D291355B817E82059630B1CB9FB261F5779',202,'{"Location": "/api/projects/1/jobs/01a22933-df48-73e8-9854-119a2ef80f00/", "Retry-After": "1"}','{"status": 202, "body": {"id": "01a22933-df48-73e8-9854-119a2ef80f00", "kind": "refresh_schema", "table_id": "01a22932-a19c-74d0-85d0-38a2726713c7", "batch_id": null, "state": "queued", "done": false, "attempt": 0, "max_attempts": 5, "next_run_at": "2026-11-29T21:26:35.081000Z", "deduplicated": true, "progress": null, "result": null, "error": null, "created_at": "2026-11-29T21:26:35.081000Z", "started_at": null, "finished_at": null}}','2026-11-29 21:26:36.383000',403);
CREATE TABLE job_attempts (
	job_id CHAR(32) NOT NULL, 
	number INTEGER NOT NULL, 
	worker VARCHAR(200) NOT NULL, 
	started_at DATETIME DEFAULT (strftime('%Y-%m-%d %H:%M:%f', 'now') || '000') NOT NULL, 
	ended_at DATETIME, 
	outcome VARCHAR(64), 
	detail TEXT, 
	CONSTRAINT pk_job_attempts PRIMARY KEY (job_id, number), 
	CONSTRAINT fk_job_attempts_job_id_jobs FOREIGN KEY(job_id) REFERENCES jobs (id)
);
INSERT INTO "job_attempts" VALUES('01a229329f73770b88943cc3a4d1c692',1,'worker-2114478e@test/c2ac79/26558','2026-11-29 21:25:14.833000','2026-11-29 21:25:16.812000','succeeded',NULL);
INSERT INTO "job_attempts" VALUES('01a22932a2ac700799b1fa58100092c3',1,'worker-2114478e@test/c2ac79/26639','2026-11-29 21:25:16.096000','2026-11-29 21:25:19.481000','succeeded',NULL);
INSERT INTO "job_attempts" VALUES('01a22932a64c741fb7307a68fa535e7b',1,'worker-2114478e@test/c2ac79/26601','2026-11-29 21:25:20.989000','2026-11-29 21:25:23.223000','succeeded',NULL);
INSERT INTO "job_attempts" VALUES('01a22932b29c7457b53282d725a0b460',1,'worker-2114478e@test/c2ac79/26639','2026-11-29 21:25:21.617000','2026-11-29 21:25:29.744000','succeeded',NULL);
INSERT INTO "job_attempts" VALUES('01a22932b7b875758ed644999c7911ed',1,'worker-2114478e@test/c2ac79/26558','2026-11-29 21:25:25.894000','2026-11-29 21:25:26.212000','succeeded',NULL);
INSERT INTO "job_attempts" VALUES('01a22932e51e7702b974356d3032a6bb',1,'worker-2114478e@test/c2ac79/26558','2026-11-29 21:25:31.354000','2026-11-29 21:25:31.652000','succeeded',NULL);
INSERT INTO "job_attempts" VALUES('01a22932e6a277abaf67592338943578',1,'worker-2114478e@test/c2ac79/26639','2026-11-29 21:25:32.121000','2026-11-29 21:25:33.700000','succeeded',NULL);
INSERT INTO "job_attempts" VALUES('01a22932e7f471609a054b7b476d4b24',1,'worker-2114478e@test/c2ac79/26558','2026-11-29 21:25:32.434000','2026-11-29 21:25:33.228000','succeeded',NULL);
INSERT INTO "job_attempts" VALUES('01a22932ec0b729ca8bfb71b59d6cc9c',1,'worker-2114478e@test/c2ac79/26601','2026-11-29 21:25:34.456000','2026-11-29 21:25:34.879000','succeeded',NULL);
INSERT INTO "job_attempts" VALUES('01a22932ec0b729ca8bfb71a09eaa47b',1,'worker-2114478e@test/c2ac79/26558','2026-11-29 21:25:34.669000','2026-11-29 21:25:35.053000','succeeded',NULL);
INSERT INTO "job_attempts" VALUES('01a22932ec0b729ca8bfb71dd2b5dbab',1,'worker-2114478e@test/c2ac79/26601','2026-11-29 21:25:35.994000','2026-11-29 21:25:36.333000','succeeded',NULL);
INSERT INTO "job_attempts" VALUES('01a22932f54276bdaaa11d8ba6485e2f',1,'worker-2114478e@test/c2ac79/26639','2026-11-29 21:25:36.260000','2026-11-29 21:25:36.611000','succeeded',NULL);
INSERT INTO "job_attempts" VALUES('01a22932ee7b70eb98e021a4a35fb8cd',1,'worker-2114478e@test/c2ac79/26558','2026-11-29 21:25:36.501000','2026-11-29 21:25:37.068000','succeeded',NULL);
INSERT INTO "job_attempts" VALUES('01a22932f9037680b980fe5e0dbc0a36',1,'worker-2114478e@test/c2ac79/26601','2026-11-29 21:25:37.378000','2026-11-29 21:25:37.662000','source_not_found','The provided file doesn''t exist in the bucket');
INSERT INTO "job_attempts" VALUES('01a22932fbc3732ebb1cb5a14eb5aac2',1,'worker-2114478e@test/c2ac79/26639','2026-11-29 21:25:37.528000','2026-11-29 21:25:37.863000','succeeded',NULL);
INSERT INTO "job_attempts" VALUES('01a22932fbc472c88a877aca37fcb7f7',1,'worker-2114478e@test/c2ac79/26601','2026-11-29 21:25:38.257000','2026-11-29 21:25:38.474000','succeeded',NULL);
INSERT INTO "job_attempts" VALUES('01a22932fbc472c88a877acbce3fb6f8',1,'worker-2114478e@test/c2ac79/26639','2026-11-29 21:25:38.440000','2026-11-29 21:25:38.712000','succeeded',NULL);
INSERT INTO "job_attempts" VALUES('01a22933bb357669831b0b6ea23b5ff5',1,'worker-15ac1fc5@test/e91ba8/370','2026-11-29 21:26:30.445000',NULL,NULL,NULL);
INSERT INTO "job_attempts" VALUES('01a22933bc6d77a6899da34f8ef9d088',1,'worker-15ac1fc5@test/e91ba8/420','2026-11-29 21:26:32.389000',NULL,NULL,NULL);
CREATE TABLE jobs (
	id CHAR(32) NOT NULL, 
	project_id INTEGER NOT NULL, 
	kind VARCHAR(20) NOT NULL, 
	queue VARCHAR(20) NOT NULL, 
	table_id CHAR(32), 
	batch_id CHAR(32), 
	upload_id CHAR(32), 
	retry_of CHAR(32), 
	arguments JSON NOT NULL, 
	created_by_id INTEGER, 
	state VARCHAR(20) NOT NULL, 
	attempt INTEGER NOT NULL, 
	max_attempts INTEGER NOT NULL, 
	generation INTEGER, 
	next_run_at DATETIME DEFAULT (strftime('%Y-%m-%d %H:%M:%f', 'now') || '000') NOT NULL, 
	rung_at DATETIME, 
	rings INTEGER NOT NULL, 
	lease_expires_at DATETIME, 
	worker VARCHAR(200), 
	cancel_requested_at DATETIME, 
	progress JSON, 
	result JSON, 
	error JSON, 
	revision INTEGER NOT NULL, 
	created_at DATETIME DEFAULT (strftime('%Y-%m-%d %H:%M:%f', 'now') || '000') NOT NULL, 
	started_at DATETIME, 
	finished_at DATETIME, request_id VARCHAR(64), yielded_at DATETIME, 
	CONSTRAINT pk_jobs PRIMARY KEY (id), 
	CONSTRAINT fk_jobs_batch_id_batches FOREIGN KEY(batch_id) REFERENCES batches (id), 
	CONSTRAINT fk_jobs_created_by_id_users FOREIGN KEY(created_by_id) REFERENCES users (id), 
	CONSTRAINT fk_jobs_project_id_projects FOREIGN KEY(project_id) REFERENCES projects (id), 
	CONSTRAINT fk_jobs_table_id_tables FOREIGN KEY(table_id) REFERENCES tables (id), 
	CONSTRAINT fk_jobs_upload_id_uploads FOREIGN KEY(upload_id) REFERENCES uploads (id)
);
INSERT INTO "jobs" VALUES('01a229329f73770b88943cc3a4d1c692',1,'refresh_schema','interactive','01a229329ec1746eb826c38e0425667f',NULL,NULL,NULL,'{}',2,'succeeded',1,5,1,'2026-11-29 21:25:13.240000','2026-11-29 21:25:13.240000',0,NULL,NULL,NULL,NULL,'{"columns": 1, "schema_version": 1, "change": "additive", "diff": {"added": [{"name": "column_0", "type": "Nullable(Int64)"}], "removed": [], "changed": [], "renamed": [], "fields": {"added": [], "removed": [], "changed": [], "omitted": 0}, "reordered": false}, "source_version": 0, "row_count": 1, "size_bytes": 510, "file_count": 1, "coverage": {"files_matched": 1, "files_read": 2, "bytes_read": 2158, "truncated": false, "unchanged": false}}',NULL,2,'2026-11-29 21:25:13.240000','2026-11-29 21:25:14.740000','2026-11-29 21:25:16.810000','bd8a1315f95445e09ba1fbd744097f09',NULL);
INSERT INTO "jobs" VALUES('01a22932a2ac700799b1fa58100092c3',1,'refresh_schema','interactive','01a22932a19c74d085d038a2726713c7',NULL,NULL,NULL,'{}',2,'succeeded',1,5,1,'2026-11-29 21:25:14.035000','2026-11-29 21:25:14.035000',0,NULL,NULL,NULL,NULL,'{"columns": 1, "schema_version": 1, "change": "additive", "diff": {"added": [{"name": "column_0", "type": "Nullable(Int64)"}], "removed": [], "changed": [], "renamed": [], "fields": {"added": [], "removed": [], "changed": [], "omitted": 0}, "reordered": false}, "source_version": "b081211dee896371", "row_count": 20, "size_bytes": 59, "file_count": 1, "coverage": {"files_matched": 1, "files_read": 1, "bytes_read": 59, "truncated": false, "unchanged": false}}',NULL,2,'2026-11-29 21:25:14.035000','2026-11-29 21:25:15.926000','2026-11-29 21:25:19.480000','0fd1399f909c47c1b9493e15a023b579',NULL);
INSERT INTO "jobs" VALUES('01a22932a64c741fb7307a68fa535e7b',1,'refresh_schema','interactive','01a22932a62574bd899306b280b59324',NULL,NULL,NULL,'{}',2,'succeeded',1,5,1,'2026-11-29 21:25:15.004000','2026-11-29 21:25:17.826000',0,NULL,NULL,NULL,NULL,'{"columns": 1, "schema_version": 1, "change": "additive", "diff": {"added": [{"name": "column_0", "type": "Nullable(Int64)"}], "removed": [], "changed": [], "renamed": [], "fields": {"added": [], "removed": [], "changed": [], "omitted": 0}, "reordered": false}, "source_version": 0, "row_count": 1, "size_bytes": 510, "file_count": 1, "coverage": {"files_matched": 1, "files_read": 2, "bytes_read": 2158, "truncated": false, "unchanged": false}}',NULL,2,'2026-11-29 21:25:15.004000','2026-11-29 21:25:20.916000','2026-11-29 21:25:23.175000','e8a285b3b40648e9a3b84392c4ecb0e0',NULL);
INSERT INTO "jobs" VALUES('01a22932b29c7457b53282d725a0b460',1,'ingest_file','interactive','01a22932b2717075989155f41101de99',NULL,'01a22932aaf47678adfb83830c8dda2b',NULL,'{"target": "delta", "format": "CSVWithNames", "mode": "append"}',2,'succeeded',1,5,1,'2026-11-29 21:25:18.109000','2026-11-29 21:25:19.519000',0,NULL,NULL,NULL,'{"phase": "load", "files_done": 0, "files_total": 1}','{"columns": 2, "schema_version": 1, "change": "additive", "diff": {"added": [{"name": "marker", "type": "Nullable(String)"}, {"name": "number", "type": "Nullable(Int64)"}], "removed": [], "changed": [], "renamed": [], "fields": {"added": [], "removed": [], "changed": [], "omitted": 0}, "reordered": false}, "source_version": 1, "row_count": 3, "size_bytes": null, "file_count": null, "coverage": {"files_matched": 2, "files_read": 2, "bytes_read": 2236, "truncated": false, "unchanged": false}}',NULL,3,'2026-11-29 21:25:18.109000','2026-11-29 21:25:21.527000','2026-11-29 21:25:29.743000','47a7582779b840dfb79f8be3ed4fd994',NULL);
INSERT INTO "jobs" VALUES('01a22932b7b875758ed644999c7911ed',1,'validate_columns','validate','01a22932a19c74d085d038a2726713c7',NULL,NULL,NULL,'{}',NULL,'succeeded',1,5,1,'2026-11-29 21:25:19.476000','2026-11-29 21:25:24.982000',1,NULL,NULL,NULL,NULL,'{"columns": 1, "row_count": 20, "size_bytes": 59, "invalid_count": 0, "invalid": []}',NULL,2,'2026-11-29 21:25:19.476000','2026-11-29 21:25:25.808000','2026-11-29 21:25:26.212000','0fd1399f909c47c1b9493e15a023b579',NULL);
INSERT INTO "jobs" VALUES('01a22932e51e7702b974356d3032a6bb',1,'validate_columns','validate','01a22932a19c74d085d038a2726713c7',NULL,NULL,NULL,'{}',2,'succeeded',1,5,1,'2026-11-29 21:25:31.054000','2026-11-29 21:25:31.054000',0,NULL,NULL,NULL,NULL,'{"columns": 1, "row_count": 20, "size_bytes": 59, "invalid_count": 0, "invalid": []}',NULL,2,'2026-11-29 21:25:31.054000','2026-11-29 21:25:31.327000','2026-11-29 21:25:31.641000','0c6d90e168944f0dbaba6c63e6b086e9',NULL);
INSERT INTO "jobs" VALUES('01a22932e6a277abaf67592338943578',1,'refresh_schema','interactive','01a229329ec1746eb826c38e0425667f',NULL,NULL,NULL,'{}',2,'succeeded',1,5,1,'2026-11-29 21:25:31.463000','2026-11-29 21:25:31.463000',0,NULL,NULL,NULL,NULL,'{"columns": 2, "schema_version": 2, "change": "additive", "diff": {"added": [{"name": "column_1", "type": "Nullable(Int64)"}], "removed": [], "changed": [], "renamed": [], "fields": {"added": [], "removed": [], "changed": [], "omitted": 0}, "reordered": false}, "source_version": 1, "row_count": 2, "size_bytes": 1324, "file_count": 2, "coverage": {"files_matched": 2, "files_read": 5, "bytes_read": 5584, "truncated": false, "unchanged": false}}',NULL,2,'2026-11-29 21:25:31.463000','2026-11-29 21:25:32.080000','2026-11-29 21:25:33.674000','f90937d64fa647c7a4b8b36619a87c87',NULL);
INSERT INTO "jobs" VALUES('01a22932e7f471609a054b7b476d4b24',1,'expand_batch','bulk',NULL,'01a22932e7c57356ad20323087245cc1',NULL,NULL,'{}',2,'succeeded',1,5,NULL,'2026-11-29 21:25:31.787000','2026-11-29 21:25:31.787000',0,NULL,NULL,NULL,NULL,'{"tables": 4, "jobs": 4, "deduplicated": 0}',NULL,2,'2026-11-29 21:25:31.787000','2026-11-29 21:25:32.359000','2026-11-29 21:25:33.228000','c869f19927cd4447a1b95dcc922ba7d9',NULL);
INSERT INTO "jobs" VALUES('01a22932ec0b729ca8bfb71a09eaa47b',1,'refresh_schema','bulk','01a229329ec1746eb826c38e0425667f','01a22932e7c57356ad20323087245cc1',NULL,NULL,'{}',2,'succeeded',1,5,1,'2026-11-29 21:25:33.028000','2026-11-29 21:25:33.956000',0,NULL,NULL,NULL,NULL,'{"columns": 2, "schema_version": 2, "change": "none", "diff": {"added": [], "removed": [], "changed": [], "renamed": [], "fields": {"added": [], "removed": [], "changed": [], "omitted": 0}, "reordered": false}, "source_version": 1, "row_count": 2, "size_bytes": 1324, "file_count": 2, "coverage": {"files_matched": 1, "files_read": 0, "bytes_read": 0, "truncated": false, "unchanged": true}}',NULL,2,'2026-11-29 21:25:33.028000','2026-11-29 21:25:34.593000','2026-11-29 21:25:35.008000','c869f19927cd4447a1b95dcc922ba7d9',NULL);
INSERT INTO "jobs" VALUES('01a22932ec0b729ca8bfb71b59d6cc9c',1,'refresh_schema','bulk','01a22932a19c74d085d038a2726713c7','01a22932e7c57356ad20323087245cc1',NULL,NULL,'{}',2,'succeeded',1,5,1,'2026-11-29 21:25:33.028000','2026-11-29 21:25:33.353000',0,NULL,NULL,NULL,NULL,'{"columns": 1, "schema_version": 2, "change": "none", "diff": {"added": [], "removed": [], "changed": [], "renamed": [], "fields": {"added": [], "removed": [], "changed": [], "omitted": 0}, "reordered": false}, "source_version": "b081211dee896371", "row_count": 20, "size_bytes": 59, "file_count": 1, "coverage": {"files_matched": 1, "files_read": 0, "bytes_read": 0, "truncated": false, "unchanged": true}}',NULL,2,'2026-11-29 21:25:33.028000','2026-11-29 21:25:34.407000','2026-11-29 21:25:34.873000','c869f19927cd4447a1b95dcc922ba7d9',NULL);
INSERT INTO "jobs" VALUES('01a22932ec0b729ca8bfb71c33e00b5c',1,'refresh_schema','bulk','01a22932a62574bd899306b280b59324','01a22932e7c57356ad20323087245cc1',NULL,NULL,'{}',2,'cancelled',0,5,NULL,'2026-11-29 21:25:33.028000','2026-11-29 21:25:34.736000',1,NULL,NULL,NULL,NULL,NULL,'{"code": "superseded", "retryable": false, "detail": "The table was deleted.", "hint": null, "file": null}',1,'2026-11-29 21:25:33.028000',NULL,'2026-11-29 21:25:35.630000','c869f19927cd4447a1b95dcc922ba7d9',NULL);
INSERT INTO "jobs" VALUES('01a22932ec0b729ca8bfb71dd2b5dbab',1,'refresh_schema','bulk','01a22932b2717075989155f41101de99','01a22932e7c57356ad20323087245cc1',NULL,NULL,'{}',2,'succeeded',1,5,1,'2026-11-29 21:25:33.028000','2026-11-29 21:25:34.736000',1,NULL,NULL,NULL,NULL,'{"columns": 2, "schema_version": 1, "change": "none", "diff": {"added": [], "removed": [], "changed": [], "renamed": [], "fields": {"added": [], "removed": [], "changed": [], "omitted": 0}, "reordered": false}, "source_version": 1, "row_count": 3, "size_bytes": null, "file_count": null, "coverage": {"files_matched": 1, "files_read": 0, "bytes_read": 0, "truncated": false, "unchanged": true}}',NULL,2,'2026-11-29 21:25:33.028000','2026-11-29 21:25:35.946000','2026-11-29 21:25:36.332000','c869f19927cd4447a1b95dcc922ba7d9',NULL);
INSERT INTO "jobs" VALUES('01a22932ee7b70eb98e021a4a35fb8cd',1,'expand_batch','bulk',NULL,'01a22932ee4c72709feacbe04a25966a',NULL,NULL,'{}',2,'succeeded',1,5,NULL,'2026-11-29 21:25:33.447000','2026-11-29 21:25:34.736000',1,NULL,NULL,NULL,NULL,'{"tables": 4, "jobs": 3, "deduplicated": 1}',NULL,2,'2026-11-29 21:25:33.447000','2026-11-29 21:25:36.499000','2026-11-29 21:25:37.058000','978b5ba71a5c45ee8f818257026bc07a',NULL);
INSERT INTO "jobs" VALUES('01a22932f54276bdaaa11d8ba6485e2f',1,'ingest_file','interactive','01a22932b2717075989155f41101de99',NULL,'01a22932f37c75809f8f00fc26f31ac6',NULL,'{"target": "delta", "format": "CSVWithNames", "mode": "append"}',2,'succeeded',1,5,1,'2026-11-29 21:25:35.217000','2026-11-29 21:25:35.289000',0,NULL,NULL,NULL,NULL,'{"columns": 2, "schema_version": 1, "change": "none", "diff": {"added": [], "removed": [], "changed": [], "renamed": [], "fields": {"added": [], "removed": [], "changed": [], "omitted": 0}, "reordered": false}, "source_version": 2, "row_count": 5, "size_bytes": null, "file_count": null, "coverage": {"files_matched": 3, "files_read": 3, "bytes_read": 3158, "truncated": false, "unchanged": false}}',NULL,2,'2026-11-29 21:25:35.217000','2026-11-29 21:25:36.229000','2026-11-29 21:25:36.610000','eaeb4ac3e9224fff83514824b7450745',NULL);
INSERT INTO "jobs" VALUES('01a22932f9037680b980fe5e0dbc0a36',1,'refresh_schema','interactive','01a22932f8ef7784b17ace9b6f66704d',NULL,NULL,NULL,'{}',2,'failed',1,5,1,'2026-11-29 21:25:36.132000','2026-11-29 21:25:36.461000',0,NULL,NULL,NULL,NULL,NULL,'{"code": "source_not_found", "retryable": false, "detail": "The provided file doesn''t exist in the bucket", "hint": "Check the path in the URL pattern. A folder of files needs a glob, such as /path/*.parquet; a Delta table is named by its root folder.", "file": null}',2,'2026-11-29 21:25:36.132000','2026-11-29 21:25:37.210000','2026-11-29 21:25:37.572000','db614c59e2b649b1ade22d3c9bd670b0',NULL);
INSERT INTO "jobs" VALUES('01a22932fbc3732ebb1cb5a14eb5aac2',1,'refresh_schema','bulk','01a229329ec1746eb826c38e0425667f','01a22932ee4c72709feacbe04a25966a',NULL,NULL,'{}',2,'succeeded',1,5,1,'2026-11-29 21:25:36.905000','2026-11-29 21:25:37.136000',0,NULL,NULL,NULL,NULL,'{"columns": 2, "schema_version": 2, "change": "none", "diff": {"added": [], "removed": [], "changed": [], "renamed": [], "fields": {"added": [], "removed": [], "changed": [], "omitted": 0}, "reordered": false}, "source_version": 1, "row_count": 2, "size_bytes": 1324, "file_count": 2, "coverage": {"files_matched": 1, "files_read": 0, "bytes_read": 0, "truncated": false, "unchanged": true}}',NULL,2,'2026-11-29 21:25:36.905000','2026-11-29 21:25:37.490000','2026-11-29 21:25:37.842000','978b5ba71a5c45ee8f818257026bc07a',NULL);
INSERT INTO "jobs" VALUES('01a22932fbc472c88a877aca37fcb7f7',1,'refresh_schema','bulk','01a22932a19c74d085d038a2726713c7','01a22932ee4c72709feacbe04a25966a',NULL,NULL,'{}',2,'succeeded',1,5,1,'2026-11-29 21:25:36.905000','2026-11-29 21:25:37.743000',0,NULL,NULL,NULL,NULL,'{"columns": 1, "schema_version": 2, "change": "none", "diff": {"added": [], "removed": [], "changed": [], "renamed": [], "fields": {"added": [], "removed": [], "changed": [], "omitted": 0}, "reordered": false}, "source_version": "b081211dee896371", "row_count": 20, "size_bytes": 59, "file_count": 1, "coverage": {"files_matched": 1, "files_read": 0, "bytes_read": 0, "truncated": false, "unchanged": true}}',NULL,2,'2026-11-29 21:25:36.905000','2026-11-29 21:25:38.185000','2026-11-29 21:25:38.473000','978b5ba71a5c45ee8f818257026bc07a',NULL);
INSERT INTO "jobs" VALUES('01a22932fbc472c88a877acbce3fb6f8',1,'refresh_schema','bulk','01a22932b2717075989155f41101de99','01a22932ee4c72709feacbe04a25966a',NULL,NULL,'{}',2,'succeeded',1,5,1,'2026-11-29 21:25:36.905000','2026-11-29 21:25:38.006000',0,NULL,NULL,NULL,NULL,'{"columns": 2, "schema_version": 1, "change": "none", "diff": {"added": [], "removed": [], "changed": [], "renamed": [], "fields": {"added": [], "removed": [], "changed": [], "omitted": 0}, "reordered": false}, "source_version": 2, "row_count": 5, "size_bytes": null, "file_count": null, "coverage": {"files_matched": 1, "files_read": 0, "bytes_read": 0, "truncated": false, "unchanged": true}}',NULL,2,'2026-11-29 21:25:36.905000','2026-11-29 21:25:38.439000','2026-11-29 21:25:38.700000','978b5ba71a5c45ee8f818257026bc07a',NULL);
INSERT INTO "jobs" VALUES('01a229332e147560b42e4ae1ff2aa39c',1,'refresh_schema','interactive','01a229332dca725fb073ce758bf86fa6',NULL,NULL,NULL,'{}',2,'cancelled',0,5,NULL,'2026-11-29 21:25:49.730000','2026-11-29 21:25:49.730000',0,NULL,NULL,'2026-11-29 21:25:49.938000',NULL,NULL,'{"code": "cancelled", "retryable": false, "detail": "The job was cancelled.", "hint": null, "file": null}',1,'2026-11-29 21:25:49.730000',NULL,'2026-11-29 21:25:49.938000','0b1ab53a5fb34f57a34523c433a83de5',NULL);
INSERT INTO "jobs" VALUES('01a22933bb357669831b0b6ea23b5ff5',1,'refresh_schema','interactive','01a229329ec1746eb826c38e0425667f',NULL,NULL,NULL,'{}',2,'running',1,5,1,'2026-11-29 21:26:25.846000','2026-11-29 21:26:25.846000',0,'2026-11-29 21:26:34.112000','worker-15ac1fc5@test/e91ba8/370',NULL,NULL,NULL,NULL,1,'2026-11-29 21:26:25.846000','2026-11-29 21:26:30.112000',NULL,'2f98167ac127439bb1829fd510ba4f25',NULL);
INSERT INTO "jobs" VALUES('01a22933bc6d77a6899da34f8ef9d088',1,'ingest_file','interactive','01a22932b2717075989155f41101de99',NULL,'01a22933bbd7706fa61ce4b788e4dd1d',NULL,'{"target": "delta", "format": "CSVWithNames", "mode": "append"}',2,'running',1,5,1,'2026-11-29 21:26:26.176000','2026-11-29 21:26:26.176000',0,'2026-11-29 21:26:36.130000','worker-15ac1fc5@test/e91ba8/420',NULL,NULL,NULL,NULL,1,'2026-11-29 21:26:26.176000','2026-11-29 21:26:32.130000',NULL,'b19cb17a86fc454e95d3c8c15d0cd1bc',NULL);
INSERT INTO "jobs" VALUES('01a22933ddf27130957e6bdba4118176',1,'refresh_schema','interactive','01a229329ec1746eb826c38e0425667f',NULL,NULL,NULL,'{}',2,'queued',0,5,NULL,'2026-11-29 21:26:34.788000','2026-11-29 21:26:34.788000',0,NULL,NULL,NULL,NULL,NULL,NULL,0,'2026-11-29 21:26:34.788000',NULL,NULL,'0f5456a3b342447d872256e9347e89ed',NULL);
INSERT INTO "jobs" VALUES('01a22933df4873e89854119a2ef80f00',1,'refresh_schema','interactive','01a22932a19c74d085d038a2726713c7',NULL,NULL,NULL,'{}',2,'queued',0,5,NULL,'2026-11-29 21:26:35.081000','2026-11-29 21:26:35.081000',0,NULL,NULL,NULL,NULL,NULL,NULL,0,'2026-11-29 21:26:35.081000',NULL,NULL,'c0e10a29e82347d1a3cdf08d611e87f4',NULL);
INSERT INTO "jobs" VALUES('01a22933e11e711db9460076df9024ba',1,'ingest_file','interactive','01a22932b2717075989155f41101de99',NULL,'01a22933e03f7750acbb3c95ccb020a0',NULL,'{"target": "delta", "format": "CSVWithNames", "mode": "append"}',2,'queued',0,5,NULL,'2026-11-29 21:26:35.568000','2026-11-29 21:26:35.568000',0,NULL,NULL,NULL,NULL,NULL,NULL,0,'2026-11-29 21:26:35.568000',NULL,NULL,'4b754704609a4a80b5175f0e52eedaee',NULL);
INSERT INTO "jobs" VALUES('01a22933e2e476bd8feeece5e437e290',1,'expand_batch','bulk',NULL,'01a22933e2c371258ab77b3b0a5b0d48',NULL,NULL,'{}',2,'queued',0,5,NULL,'2026-11-29 21:26:36.032000','2026-11-29 21:26:36.032000',0,NULL,NULL,NULL,NULL,NULL,NULL,0,'2026-11-29 21:26:36.032000',NULL,NULL,'dd6022dc07a64fc7911e9a67b3285274',NULL);
CREATE TABLE projects (
	id INTEGER NOT NULL, 
	uuid CHAR(32) NOT NULL, 
	name VARCHAR(200) NOT NULL, 
	created_at DATETIME DEFAULT (strftime('%Y-%m-%d %H:%M:%f', 'now') || '000') NOT NULL, 
	CONSTRAINT pk_projects PRIMARY KEY (id), 
	CONSTRAINT uq_projects_uuid UNIQUE (uuid)
);
INSERT INTO "projects" VALUES(1,'01a22930fd8372bc8f072f295adc6f65','Test','2026-11-29 21:23:26.317000');
CREATE TABLE schedule_fires (
	schedule_id CHAR(32) NOT NULL, 
	fire_at DATETIME NOT NULL, 
	batch_id CHAR(32) NOT NULL, 
	fired_at DATETIME DEFAULT (strftime('%Y-%m-%d %H:%M:%f', 'now') || '000') NOT NULL, 
	CONSTRAINT pk_schedule_fires PRIMARY KEY (schedule_id, fire_at), 
	CONSTRAINT fk_schedule_fires_batch_id_batches FOREIGN KEY(batch_id) REFERENCES batches (id), 
	CONSTRAINT fk_schedule_fires_schedule_id_schedules FOREIGN KEY(schedule_id) REFERENCES schedules (id) ON DELETE CASCADE
);
CREATE TABLE schedules (
	id CHAR(32) NOT NULL, 
	project_id INTEGER NOT NULL, 
	name VARCHAR(128) NOT NULL, 
	cron VARCHAR(100) NOT NULL, 
	timezone VARCHAR(64) NOT NULL, 
	jitter_seconds FLOAT NOT NULL, 
	selector JSON NOT NULL, 
	paused BOOLEAN NOT NULL, 
	next_fire_at DATETIME, 
	last_fire_at DATETIME, 
	created_by_id INTEGER, 
	created_at DATETIME DEFAULT (strftime('%Y-%m-%d %H:%M:%f', 'now') || '000') NOT NULL, 
	CONSTRAINT pk_schedules PRIMARY KEY (id), 
	CONSTRAINT fk_schedules_created_by_id_users FOREIGN KEY(created_by_id) REFERENCES users (id), 
	CONSTRAINT fk_schedules_project_id_projects FOREIGN KEY(project_id) REFERENCES projects (id)
);
INSERT INTO "schedules" VALUES('01a22932eb3b7049871ed466954cd0b0',1,'yearly','0 0 1 1 *','UTC',0.0,'{"all": true}',0,'2027-01-01 00:00:00.000000',NULL,2,'2026-11-29 21:25:32.604000');
CREATE TABLE schema_versions (
	id CHAR(32) NOT NULL, 
	table_id CHAR(32) NOT NULL, 
	number INTEGER NOT NULL, 
	columns JSON NOT NULL, 
	diff JSON NOT NULL, 
	change VARCHAR(20) NOT NULL, 
	source_version JSON, 
	job_id CHAR(32), 
	created_at DATETIME DEFAULT (strftime('%Y-%m-%d %H:%M:%f', 'now') || '000') NOT NULL, 
	CONSTRAINT pk_schema_versions PRIMARY KEY (id), 
	CONSTRAINT fk_schema_versions_table_id_tables FOREIGN KEY(table_id) REFERENCES tables (id), 
	CONSTRAINT uq_schema_versions_table_id UNIQUE (table_id, number)
);
INSERT INTO "schema_versions" VALUES('01a22932abd47024ad8605e26c89e8be','01a229329ec1746eb826c38e0425667f',1,'[{"name": "column_0", "clickhouse": "Nullable(Int64)", "hogql": "IntegerDatabaseField", "valid": true, "nullable": true, "override": false}]','{"added": [{"name": "column_0", "type": "Nullable(Int64)"}], "removed": [], "changed": [], "renamed": [], "fields": {"added": [], "removed": [], "changed": [], "omitted": 0}, "reordered": false}','additive',0,'01a229329f73770b88943cc3a4d1c692','2026-11-29 21:25:16.373000');
INSERT INTO "schema_versions" VALUES('01a22932b529704f8b885f3c63304601','01a22932a19c74d085d038a2726713c7',1,'[{"name": "column_0", "clickhouse": "Nullable(Int64)", "hogql": "IntegerDatabaseField", "valid": true, "nullable": true, "override": false}]','{"added": [{"name": "column_0", "type": "Nullable(Int64)"}], "removed": [], "changed": [], "renamed": [], "fields": {"added": [], "removed": [], "changed": [], "omitted": 0}, "reordered": false}','additive','"b081211dee896371"','01a22932a2ac700799b1fa58100092c3','2026-11-29 21:25:18.761000');
INSERT INTO "schema_versions" VALUES('01a22932c481705f8577c95a47990cd4','01a22932a62574bd899306b280b59324',1,'[{"name": "column_0", "clickhouse": "Nullable(Int64)", "hogql": "IntegerDatabaseField", "valid": true, "nullable": true, "override": false}]','{"added": [{"name": "column_0", "type": "Nullable(Int64)"}], "removed": [], "changed": [], "renamed": [], "fields": {"added": [], "removed": [], "changed": [], "omitted": 0}, "reordered": false}','additive',0,'01a22932a64c741fb7307a68fa535e7b','2026-11-29 21:25:22.689000');
INSERT INTO "schema_versions" VALUES('01a22932e00c70e2b6d0c1c6f07a826f','01a22932b2717075989155f41101de99',1,'[{"name": "marker", "clickhouse": "Nullable(String)", "hogql": "StringDatabaseField", "valid": true, "nullable": true, "override": false}, {"name": "number", "clickhouse": "Nullable(Int64)", "hogql": "IntegerDatabaseField", "valid": true, "nullable": true, "override": false}]','{"added": [{"name": "marker", "type": "Nullable(String)"}, {"name": "number", "type": "Nullable(Int64)"}], "removed": [], "changed": [], "renamed": [], "fields": {"added": [], "removed": [], "changed": [], "omitted": 0}, "reordered": false}','additive',1,'01a22932b29c7457b53282d725a0b460','2026-11-29 21:25:29.740000');
INSERT INTO "schema_versions" VALUES('01a22932e4d3775fade03ca97f38c187','01a22932a19c74d085d038a2726713c7',2,'[{"name": "column_0", "clickhouse": "Nullable(String)", "hogql": "StringDatabaseField", "valid": true, "nullable": true, "override": true}]','{"added": [], "removed": [], "changed": [{"name": "column_0", "from": "Nullable(Int64)", "to": "Nullable(String)", "only_fields": false}], "renamed": [], "fields": {"added": [], "removed": [], "changed": [], "omitted": 0}, "reordered": false}','breaking','"b081211dee896371"',NULL,'2026-11-29 21:25:30.975000');
INSERT INTO "schema_versions" VALUES('01a22932ef0c751aa7ddf9b3819d21c0','01a229329ec1746eb826c38e0425667f',2,'[{"name": "column_0", "clickhouse": "Nullable(Int64)", "hogql": "IntegerDatabaseField", "valid": true, "nullable": true, "override": false}, {"name": "column_1", "clickhouse": "Nullable(Int64)", "hogql": "IntegerDatabaseField", "valid": true, "nullable": true, "override": false}]','{"added": [{"name": "column_1", "type": "Nullable(Int64)"}], "removed": [], "changed": [], "renamed": [], "fields": {"added": [], "removed": [], "changed": [], "omitted": 0}, "reordered": false}','additive',1,'01a22932e6a277abaf67592338943578','2026-11-29 21:25:33.580000');
CREATE TABLE tables (
	id CHAR(32) NOT NULL, 
	project_id INTEGER NOT NULL, 
	name VARCHAR(128) NOT NULL, 
	format VARCHAR(20) NOT NULL, 
	url_pattern VARCHAR(500) NOT NULL, 
	credential_id CHAR(32), 
	options JSON NOT NULL, 
	columns JSON NOT NULL, 
	managed BOOLEAN NOT NULL, 
	upload_id CHAR(32), 
	external_data_source JSON, 
	external_schema JSON, 
	created_via VARCHAR(20) NOT NULL, 
	created_by_id INTEGER, 
	created_at DATETIME DEFAULT (strftime('%Y-%m-%d %H:%M:%f', 'now') || '000') NOT NULL, 
	deleted BOOLEAN NOT NULL, 
	deleted_at DATETIME, 
	generation INTEGER NOT NULL, 
	source_state JSON, 
	validated_state JSON, 
	source_version JSON, 
	schema_version INTEGER NOT NULL, 
	row_count BIGINT, 
	size_bytes BIGINT, 
	last_refreshed_at DATETIME, 
	latest_job_id CHAR(32), schema_bytes BIGINT DEFAULT 0 NOT NULL, folded_name TEXT DEFAULT '' NOT NULL, 
	CONSTRAINT pk_tables PRIMARY KEY (id), 
	CONSTRAINT fk_tables_created_by_id_users FOREIGN KEY(created_by_id) REFERENCES users (id), 
	CONSTRAINT fk_tables_credential_id_credentials FOREIGN KEY(credential_id) REFERENCES credentials (id), 
	CONSTRAINT fk_tables_project_id_projects FOREIGN KEY(project_id) REFERENCES projects (id)
);
INSERT INTO "tables" VALUES('01a229329ec1746eb826c38e0425667f',1,'orders','Delta','file:///@FOLDER@/sources/delta',NULL,'{"delta_count": true}','[{"name": "column_0", "clickhouse": "Nullable(Int64)", "hogql": "IntegerDatabaseField", "valid": true, "nullable": true, "override": false}, {"name": "column_1", "clickhouse": "Nullable(Int64)", "hogql": "IntegerDatabaseField", "valid": true, "nullable": true, "override": false}]',0,NULL,NULL,NULL,'api',2,'2026-11-29 21:25:13.025000',0,NULL,1,'{"reader_version": 2, "version": 1, "etag": "18eca124b8af1b36-476-368427", "protocol": {"minReaderVersion": 1, "readerFeatures": [], "writerFeatures": []}, "metadata": {"schemaString": "{\"type\":\"struct\",\"fields\":[{\"name\":\"column_0\",\"type\":\"long\",\"nullable\":true,\"metadata\":{}},{\"name\":\"column_1\",\"type\":\"long\",\"nullable\":true,\"metadata\":{}}]}", "partitionColumns": []}, "row_count": 2, "size_bytes": 1324, "file_count": 2, "counted": true, "generation": 1}',NULL,1,2,2,1324,'2026-11-29 21:25:37.841000','01a22933ddf27130957e6bdba4118176',808,'orders');
INSERT INTO "tables" VALUES('01a22932a19c74d085d038a2726713c7',1,'t_16c09f79','CSVWithNames','file:///@FOLDER@/sources/numbers.csv',NULL,'{}','[{"name": "column_0", "clickhouse": "Nullable(String)", "hogql": "StringDatabaseField", "valid": true, "nullable": true, "override": true}]',0,NULL,NULL,NULL,'api',2,'2026-11-29 21:25:13.756000',0,NULL,1,'{"reader_version": 2, "kind": "files/CSVWithNames", "options": {}, "fingerprint": "b081211dee89637179bd883baec8a39e23a318755e233289f75cff7cb399ec05", "columns": [{"name": "column_0", "clickhouse": "Nullable(Int64)", "hogql": "IntegerDatabaseField", "valid": true, "nullable": true, "override": false}], "row_count": 20, "truncated": false, "budget": [200, 67108864, 60.0], "generation": 1}','{"reader_version": 2, "kind": "files/CSVWithNames", "options": {}, "fingerprint": "b081211dee89637179bd883baec8a39e23a318755e233289f75cff7cb399ec05", "columns": [{"name": "column_0", "clickhouse": "Nullable(Int64)", "hogql": "IntegerDatabaseField", "valid": true, "nullable": true, "override": false}], "row_count": 20, "truncated": false, "budget": [200, 67108864, 60.0], "generation": 1}','"b081211dee896371"',2,20,59,'2026-11-29 21:25:38.473000','01a22933df4873e89854119a2ef80f00',715,'t_16c09f79');
INSERT INTO "tables" VALUES('01a22932a62574bd899306b280b59324',1,'t_0064baca','Delta','file:///@FOLDER@/sources/delta',NULL,'{"delta_count": true}','[{"name": "column_0", "clickhouse": "Nullable(Int64)", "hogql": "IntegerDatabaseField", "valid": true, "nullable": true, "override": false}]',0,NULL,NULL,NULL,'api',2,'2026-11-29 21:25:14.917000',1,'2026-11-29 21:25:35.797000',2,'{"reader_version": 2, "version": 0, "etag": "18eca12050b1c587-437-3683ec", "protocol": {"minReaderVersion": 1, "readerFeatures": [], "writerFeatures": []}, "metadata": {"schemaString": "{\"type\":\"struct\",\"fields\":[{\"name\":\"column_0\",\"type\":\"long\",\"nullable\":true,\"metadata\":{}}]}", "partitionColumns": []}, "row_count": 1, "size_bytes": 510, "file_count": 1, "counted": true, "generation": 1}',NULL,0,1,1,510,'2026-11-29 21:25:22.760000','01a22932ec0b729ca8bfb71c33e00b5c',334,'t_0064baca');
INSERT INTO "tables" VALUES('01a22932b2717075989155f41101de99',1,'ledger','Delta','managed:///delta/1/01a22932-b271-7075-9891-55f41101de99',NULL,'{}','[{"name": "marker", "clickhouse": "Nullable(String)", "hogql": "StringDatabaseField", "valid": true, "nullable": true, "override": false}, {"name": "number", "clickhouse": "Nullable(Int64)", "hogql": "IntegerDatabaseField", "valid": true, "nullable": true, "override": false}]',1,NULL,NULL,NULL,'api',2,'2026-11-29 21:25:18.067000',0,NULL,1,'{"reader_version": 2, "version": 2, "etag": "18eca1261db1322b-39a-36a1d6", "protocol": {"minReaderVersion": 1, "readerFeatures": [], "writerFeatures": []}, "metadata": {"schemaString": "{\"type\":\"struct\",\"fields\":[{\"name\":\"marker\",\"type\":\"string\",\"nullable\":true,\"metadata\":{}},{\"name\":\"number\",\"type\":\"long\",\"nullable\":true,\"metadata\":{}}]}", "partitionColumns": []}, "row_count": 5, "size_bytes": null, "file_count": null, "counted": false, "generation": 1}',NULL,2,1,5,NULL,'2026-11-29 21:25:38.664000','01a22933e11e711db9460076df9024ba',516,'ledger');
INSERT INTO "tables" VALUES('01a22932f8ef7784b17ace9b6f66704d',1,'missing','Parquet','file:///@FOLDER@/sources/missing/*.parquet',NULL,'{}','[]',0,NULL,NULL,NULL,'api',2,'2026-11-29 21:25:36.111000',0,NULL,1,NULL,NULL,NULL,0,NULL,NULL,NULL,'01a22932f9037680b980fe5e0dbc0a36',0,'missing');
INSERT INTO "tables" VALUES('01a229332dca725fb073ce758bf86fa6',1,'guarded','Parquet','http://127.0.0.1:9/bucket/*.parquet','01a229332de57793afe9ddfdecb776c2','{}','[]',0,NULL,NULL,NULL,'api',2,'2026-11-29 21:25:49.642000',0,NULL,1,NULL,NULL,NULL,0,NULL,NULL,NULL,'01a229332e147560b42e4ae1ff2aa39c',0,'guarded');
CREATE TABLE uploads (
	id CHAR(32) NOT NULL, 
	project_id INTEGER NOT NULL, 
	filename VARCHAR(255) NOT NULL, 
	file_format VARCHAR(20), 
	object_key VARCHAR(200) NOT NULL, 
	state VARCHAR(20) NOT NULL, 
	size_bytes BIGINT, 
	created_by_id INTEGER, 
	created_at DATETIME DEFAULT (strftime('%Y-%m-%d %H:%M:%f', 'now') || '000') NOT NULL, 
	changed_at DATETIME DEFAULT (strftime('%Y-%m-%d %H:%M:%f', 'now') || '000') NOT NULL, 
	CONSTRAINT pk_uploads PRIMARY KEY (id), 
	CONSTRAINT fk_uploads_created_by_id_users FOREIGN KEY(created_by_id) REFERENCES users (id), 
	CONSTRAINT fk_uploads_project_id_projects FOREIGN KEY(project_id) REFERENCES projects (id)
);
INSERT INTO "uploads" VALUES('01a22932aaf47678adfb83830c8dda2b',1,'mbef777b45896.csv',NULL,'uploads/1/01a22932-aaf4-7678-adfb-83830c8dda2b','superseded',62,2,'2026-11-29 21:25:16.200000','2026-11-29 21:25:29.743000');
INSERT INTO "uploads" VALUES('01a22932f37c75809f8f00fc26f31ac6',1,'m452f13aa0544.csv',NULL,'uploads/1/01a22932-f37c-7580-9f8f-00fc26f31ac6','superseded',46,2,'2026-11-29 21:25:34.716000','2026-11-29 21:25:36.544000');
INSERT INTO "uploads" VALUES('01a22933bbd7706fa61ce4b788e4dd1d',1,'md9e09f857b7a.csv',NULL,'uploads/1/01a22933-bbd7-706f-a61c-e4b788e4dd1d','stored',78,2,'2026-11-29 21:26:26.008000','2026-11-29 21:26:26.123000');
INSERT INTO "uploads" VALUES('01a22933e03f7750acbb3c95ccb020a0',1,'m58eaf21c5eca.csv',NULL,'uploads/1/01a22933-e03f-7750-acbb-3c95ccb020a0','stored',94,2,'2026-11-29 21:26:35.327000','2026-11-29 21:26:35.493000');
CREATE TABLE users (
	id INTEGER NOT NULL, 
	uuid CHAR(32) NOT NULL, 
	first_name VARCHAR(200) NOT NULL, 
	last_name VARCHAR(200) NOT NULL, 
	email VARCHAR(320) NOT NULL, 
	created_at DATETIME DEFAULT (strftime('%Y-%m-%d %H:%M:%f', 'now') || '000') NOT NULL, 
	CONSTRAINT pk_users PRIMARY KEY (id), 
	CONSTRAINT uq_users_email UNIQUE (email), 
	CONSTRAINT uq_users_uuid UNIQUE (uuid)
);
INSERT INTO "users" VALUES(1,'01a22930fe5377df8881ca6914a516d5','Ada','','ba171577@example.com','2026-11-29 21:23:26.419000');
INSERT INTO "users" VALUES(2,'01a2293152557715b16b056cdd29168c','Operator','','operator@stocktake.invalid','2026-11-29 21:23:48.092000');
CREATE TABLE worker_pools (
	worker VARCHAR(200) NOT NULL, 
	queue VARCHAR(20) NOT NULL, 
	places INTEGER NOT NULL, 
	project_places INTEGER NOT NULL, 
	expires_at DATETIME NOT NULL, 
	CONSTRAINT pk_worker_pools PRIMARY KEY (worker, queue)
);
INSERT INTO "worker_pools" VALUES('worker-15ac1fc5@test/e91ba8','interactive',2,2,'2026-11-29 21:26:35.278000');
INSERT INTO "worker_pools" VALUES('worker-15ac1fc5@test/e91ba8','bulk',2,2,'2026-11-29 21:26:35.278000');
INSERT INTO "worker_pools" VALUES('worker-15ac1fc5@test/e91ba8','validate',2,2,'2026-11-29 21:26:35.278000');
CREATE INDEX ix_audit_log_project ON audit_log (project_id, id);
CREATE INDEX ix_batches_project_id ON batches (project_id);
CREATE INDEX ix_credentials_project_id ON credentials (project_id);
CREATE INDEX ix_idempotency_keys_created_at ON idempotency_keys (created_at);
CREATE INDEX ix_schedules_due ON schedules (paused, next_fire_at);
CREATE INDEX ix_schedules_project_id ON schedules (project_id);
CREATE INDEX ix_uploads_state ON uploads (state, changed_at);
CREATE INDEX ix_tables_project_newest ON tables (project_id, created_at, id);
CREATE UNIQUE INDEX uq_tables_live_name ON tables (project_id, name) WHERE deleted = 0;
CREATE INDEX ix_jobs_batch ON jobs (batch_id, state);
CREATE INDEX ix_jobs_due ON jobs (state, next_run_at);
CREATE INDEX ix_jobs_project_newest ON jobs (project_id, id);
CREATE INDEX ix_jobs_table ON jobs (table_id, id);
CREATE INDEX ix_jobs_table_state ON jobs (table_id, state, next_run_at);
CREATE UNIQUE INDEX uq_jobs_running ON jobs (table_id, kind) WHERE state = 'running';
CREATE UNIQUE INDEX uq_jobs_waiting ON jobs (table_id, kind) WHERE state = 'queued' AND attempt = 0 AND kind <> 'ingest_file';
CREATE INDEX ix_batch_items_job_id ON batch_items (job_id);
CREATE INDEX ix_job_attempts_ended_at ON job_attempts (ended_at);
CREATE INDEX ix_jobs_upload ON jobs (upload_id) WHERE upload_id IS NOT NULL;
CREATE INDEX ix_jobs_finished ON jobs (finished_at) WHERE finished_at IS NOT NULL;
CREATE INDEX ix_batches_created_at ON batches (created_at);
CREATE INDEX ix_schedule_fires_batch_id ON schedule_fires (batch_id);
CREATE INDEX ix_audit_log_created_at ON audit_log (created_at);
CREATE INDEX ix_jobs_unrung ON jobs (project_id, queue, next_run_at, id) WHERE state = 'queued' AND rung_at IS NULL;
CREATE INDEX ix_jobs_rung ON jobs (project_id) WHERE state = 'queued' AND rung_at IS NOT NULL;
CREATE INDEX ix_jobs_running ON jobs (project_id) WHERE state = 'running';
CREATE INDEX ix_jobs_yielded ON jobs (project_id) WHERE yielded_at IS NOT NULL;
CREATE INDEX ix_tables_schema_bytes ON tables (project_id, schema_bytes);
CREATE INDEX ix_idempotency_keys_size ON idempotency_keys (project_id, size_bytes);
COMMIT;
