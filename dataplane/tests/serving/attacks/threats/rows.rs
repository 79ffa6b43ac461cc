use super::{Threat, threat};

const BUDGETS: &str = "dataplane/routing/tests/budgets.rs";
const STREAM: &str = "e2e/tests/suites/stream/proxies.rs";
const CLOSED: &str = "operator/src/serve/tests/closed.rs";
const WAITING: &str = "operator/src/serve/tests/waiting.rs";
const GATE: &str = "operator/src/serve/gate/tests.rs";
const DECISIONS: &str = "dataplane/callers/src/decisions/tests.rs";
const BUDGET: &str = "operator/compile/src/compiler/budget/tests.rs";
const SIZES: &str = "operator/compile/src/compiler/tests/sizes.rs";
const TOOLS_REMOVAL: &str = "e2e/tests/suites/connectors/removal.rs";
const EXTENSIONS: &str = "e2e/tests/suites/charts/extensions.rs";
const ADDRESSES: &str = "dataplane/routing/tests/addresses.rs";
const LOGINS: &str = "dataplane/tests/serving/logins.rs";
const DOORS: &str = "dataplane/routing/src/request/door/tests.rs";
const LOGIN: &str = "dataplane/routing/tests/login.rs";

pub const THREATS: &[Threat] = &[
    threat(
        "a code of a log-in: replayed, stolen, for another host, without the cookie of the browser that began, at a second data plane, begun by the UI itself with a cookie of its own making",
        "it is good once at each data plane, whoever brings it, for 30 s, for one host and with that cookie; what it becomes is sealed for that host, and never the token",
        &[
            (LOGINS, "a_code_is_of_use_to_nobody_else"),
            (
                "dataplane/callers/src/login.rs",
                "a_code_is_good_once_for_its_bearer_and_for_a_while",
            ),
            (
                "dataplane/callers/src/login.rs",
                "a_code_is_used_up_by_whoever_brings_it",
            ),
            (
                "dataplane/callers/src/login.rs",
                "a_session_is_of_one_host_and_no_code",
            ),
        ],
    ),
    threat(
        "a page that has the front tell a host who its reader is: in a frame, by a script, for a host of nobody, with a way back to elsewhere",
        "a code is made for a navigation in a window of its own, for a published UI, and a path below its host",
        &[
            (LOGIN, "somebody_who_is_known_gets_a_code_for_a_published_name"),
            (LOGINS, "a_code_is_of_use_to_nobody_else"),
        ],
    ),
    threat(
        "the cookie of the front at a web UI, and that of the UI at the front; either at a backend",
        "on each host its own cookie counts alone, and no backend sees one",
        &[
            (
                LOGIN,
                "each_door_has_a_cookie_of_its_own_and_no_backend_sees_either",
            ),
            (LOGINS, "a_browser_logs_in_by_way_of_the_front"),
        ],
    ),
    threat(
        "Host and SNI that name different doors",
        "421; web UIs may share a connection with one another, and with nothing else",
        &[
            (DOORS, "tls_for_one_door_is_not_taken_for_the_other"),
            (LOGINS, "a_connection_is_for_one_door"),
        ],
    ),
    threat(
        "the name of a web UI in another case, with a dot at the end, in two labels, in another alphabet; a longer matcher of another object below it",
        "404, and never the main front",
        &[
            (DOORS, "a_name_below_the_domain_of_web_uis_is_a_door_of_its_own"),
            (LOGIN, "a_name_is_one_web_ui_and_nothing_else"),
        ],
    ),
    threat(
        "an acknowledgement in the name of another data plane",
        "a data plane is the Pod that its token is bound to, whatever it says",
        &[
            (STREAM, "a_forged_acknowledgement_changes_nothing"),
            (STREAM, "a_data_plane_is_counted_as_its_pod"),
            (CLOSED, "a_forged_acknowledgement_is_that_of_the_forger"),
            (CLOSED, "a_proxy_is_its_pod_whatever_it_says"),
        ],
    ),
    threat(
        "a stranger on the configuration stream: no token, one of another account, audience or Pod, an expired, forged or unbound one",
        "refused before the first message, with a reason and no detail",
        &[
            (
                "e2e/tests/suites/stream/strangers.rs",
                "strangers_are_refused_and_get_nothing",
            ),
            (CLOSED, "no_path_answers_a_call_without_a_token"),
            (CLOSED, "a_strange_token_gets_nothing_but_a_sentence"),
            (GATE, "without_one_good_token_nobody_is_asked"),
        ],
    ),
    threat(
        "a stream that outlives its token or its Pod",
        "it ends with them",
        &[
            (STREAM, "a_stream_ends_with_its_token"),
            (GATE, "a_stream_ends_when_its_token_is_not_accepted_any_more"),
            (GATE, "a_stream_ends_with_its_pod_at_once_and_stays_closed"),
        ],
    ),
    threat(
        "a flood of calls to the operator",
        "reviews are limited, and an answer is remembered by token",
        &[
            (GATE, "reviews_are_limited_and_who_waits_too_long_may_come_again"),
            (GATE, "answers_are_remembered_by_token"),
        ],
    ),
    threat(
        "a stream that others can read",
        "TLS, or loopback only",
        &[
            (CLOSED, "plain_text_finds_no_server_behind_tls"),
            (
                "e2e/tests/suites/start.rs",
                "a_stream_that_others_could_read_is_refused",
            ),
        ],
    ),
    threat(
        "an author who publishes what they may not reach (confused deputy)",
        "the API server asks for the rights of the author, and the programs have few of their own",
        &[
            (
                "e2e/tests/suites/charts/policies.rs",
                "who_may_publish_is_decided_at_admission",
            ),
            (
                "e2e/tests/suites/control_plane.rs",
                "the_operator_may_do_only_what_the_chart_says",
            ),
            (
                "e2e/tests/suites/stream/rights.rs",
                "a_data_plane_may_do_nothing_but_ask",
            ),
        ],
    ),
    threat(
        "a reference into the namespace of others",
        "needs the right `route` on the Service, in its namespace",
        &[(
            "e2e/tests/suites/charts/policies.rs",
            "who_may_publish_is_decided_at_admission",
        )],
    ),
    threat(
        "an upstream that is the machine itself, a metadata service or genkan (SSRF)",
        "addresses are checked after they are resolved, in every spelling; an ExternalName is not followed, and a redirect to elsewhere is the client's, or refused",
        &[
            (
                "dataplane/src/upstream/net.rs",
                "dangerous_addresses_are_refused_in_every_spelling",
            ),
            (
                "dataplane/src/upstream/net.rs",
                "allowed_networks_are_dialled_but_never_the_own_listeners",
            ),
            (
                "dataplane/tests/serving/requests.rs",
                "own_listeners_are_never_dialled",
            ),
            (
                "e2e/tests/suites/scenarios/services.rs",
                "an_external_name_is_never_followed",
            ),
            (
                "dataplane/routing/tests/addresses.rs",
                "redirects_that_leave_are_found",
            ),
        ],
    ),
    threat(
        "an identity that is written by another name",
        "every spelling is known; see Spoofing",
        &[
            (
                "dataplane/routing/tests/names.rs",
                "identity_headers_are_known_in_every_spelling",
            ),
            (
                "dataplane/routing/tests/names.rs",
                "impersonation_headers_are_known_in_every_spelling",
            ),
            (
                "dataplane/routing/tests/names.rs",
                "the_policy_guards_what_the_data_plane_guards",
            ),
            (
                "dataplane/tests/serving/identity.rs",
                "identity_that_no_header_can_carry_is_refused_where_it_would_be_told",
            ),
        ],
    ),
    threat(
        "a load balancer that somebody else plays",
        "the PROXY protocol is read from named addresses only",
        &[
            (
                "dataplane/tests/serving/listener.rs",
                "load_balancers_name_their_clients",
            ),
            (
                "dataplane/tests/serving/listener.rs",
                "header_of_somebody_else_is_a_bad_request",
            ),
        ],
    ),
    threat(
        "a path that two parsers read differently",
        "one canonical path, checked again after the directives; see Path confusion",
        &[("e2e/tests/fuzz/paths.rs", "a_path_has_one_canonical_form")],
    ),
    threat(
        "a path of an API that is reviewed in one reading and served in another",
        "every reading has to be allowed; see Path confusion",
        &[
            (
                "dataplane/routing/tests/access.rs",
                "path_that_servers_read_differently_is_asked_about_in_every_reading",
            ),
            (
                "dataplane/callers/src/authorization/tests.rs",
                "every_reading_of_a_path_has_to_be_allowed",
            ),
            (
                "dataplane/tests/serving/access.rs",
                "path_of_an_api_is_allowed_in_every_reading_or_not_at_all",
            ),
        ],
    ),
    threat(
        "a loop whose objects hide it",
        "genkan counts its rounds in a header that no directive changes",
        &[
            (
                "dataplane/tests/serving/requests.rs",
                "a_loop_ends_whatever_its_objects_do",
            ),
            (
                "dataplane/routing/src/request/sending.rs",
                "own_mark_stands_behind_those_of_others",
            ),
        ],
    ),
    threat(
        "an API server that takes genkan for a user of its own",
        "it is not shown the client certificate",
        &[(
            "dataplane/src/upstream/client_certificate.rs",
            "api_servers_are_shown_nothing",
        )],
    ),
    threat(
        "impersonation in front of somebody who would believe it",
        "it passes to kube-apiserver alone, which judges it",
        &[(
            "dataplane/routing/tests/doors.rs",
            "impersonation_is_for_kubernetes_alone",
        )],
    ),
    threat(
        "a head that two parsers read differently",
        "what is accepted has one reading, for the engine too; see Framing",
        &[
            ("e2e/tests/fuzz/heads.rs", "accepted_heads_have_one_reading"),
            (
                "dataplane/tests/front.rs",
                "a_head_cut_at_every_byte_is_read_the_same",
            ),
        ],
    ),
    threat(
        "a chunked body that two parsers end in two places",
        "what is accepted has one end, for the engine too; see Framing",
        &[
            (
                "dataplane/routing/tests/chunks.rs",
                "mutated_bodies_are_judged_by_the_book",
            ),
            (
                "dataplane/tests/front_chunks.rs",
                "the_engine_ends_accepted_bodies_in_the_same_place",
            ),
            (
                "dataplane/tests/front_chunks.rs",
                "the_engine_reads_mutated_bodies_that_are_accepted_in_the_same_way",
            ),
            (
                "dataplane/tests/serving/strictness.rs",
                "malformed_body_behind_its_head_is_told_and_never_repeated",
            ),
        ],
    ),
    threat(
        "a head of HTTP/2 that is read less strictly than one of HTTP/1",
        "both have one judge",
        &[(
            "dataplane/routing/tests/strict_decoded.rs",
            "both_versions_have_one_judge",
        )],
    ),
    threat(
        "a right or a token that was taken back",
        "a yes lives a minute (longer, as `--stale-if-error` says, while the API server is away), a no ten seconds, and nothing longer than its token",
        &[
            (DECISIONS, "yes_lives_a_minute_and_no_ten_seconds"),
            (DECISIONS, "nothing_outlives_its_token"),
            (DECISIONS, "no_is_never_honoured_beyond_its_life"),
        ],
    ),
    threat(
        "a token for another audience, or one that a backend could use",
        "the audience is checked, and the credential stays here",
        &[
            (
                "dataplane/tests/serving/identity.rs",
                "token_has_to_be_for_our_audience",
            ),
            (
                "dataplane/tests/serving/identity.rs",
                "credential_stays_here_unless_the_object_asks_for_it",
            ),
        ],
    ),
    threat(
        "an answer that was remembered for somebody else",
        "keys hold everything that an answer depends on",
        &[
            (DECISIONS, "parts_cannot_be_shifted_into_each_other"),
            (
                "dataplane/routing/tests/access.rs",
                "kinds_of_questions_never_look_alike",
            ),
            (
                "operator/compile/src/compiler/tests.rs",
                "incremental_equals_from_scratch",
            ),
        ],
    ),
    threat(
        "a connection that was trusted under old settings",
        "a change takes effect at once",
        &[(
            "dataplane/tests/serving/tls.rs",
            "certificates_are_verified_and_changes_take_effect_at_once",
        )],
    ),
    threat(
        "secrets in snapshots and logs",
        "neither keys nor tokens are printed, and nothing is sent that nobody names",
        &[
            (
                "operator/compile/src/compiler/tests.rs",
                "what_nobody_names_is_not_sent",
            ),
            ("operator/src/pki/tests.rs", "no_key_is_printed"),
            (
                "dataplane/src/config/stream/connecting/tests.rs",
                "a_token_is_read_each_time_and_printed_never",
            ),
            (
                "e2e/tests/suites/stream/certificates.rs",
                "a_given_secret_is_used_and_never_written",
            ),
        ],
    ),
    threat(
        "code in configuration",
        "there is none; regular expressions are of bounded size and take linear time",
        &[(
            "dataplane/routing/tests/regexps.rs",
            "what_cannot_mean_the_same_is_refused",
        )],
    ),
    threat(
        "exhaustion",
        "lists, texts, snapshots, what is remembered and what is asked are bounded",
        &[
            ("e2e/tests/suites/crds.rs", "lists_and_texts_have_limits"),
            (
                "dataplane/src/config/stream/assembly.rs",
                "gaps_strangers_and_giants_are_refused",
            ),
            (DECISIONS, "number_of_decisions_is_bounded"),
            (
                "dataplane/tests/serving/identity.rs",
                "flood_of_bad_tokens_is_cut_and_known_callers_do_not_notice",
            ),
            (
                "dataplane/tests/serving/access.rs",
                "flood_of_invented_paths_is_cut_and_others_do_not_notice",
            ),
            ("dataplane/tests/h2.rs", "rapid_resets_end_the_connection"),
        ],
    ),
    threat(
        "silence: connections, handshakes, heads and streams that are begun and never finished",
        "whoever waits has a deadline and a share of the files; who says nothing makes room for those who do (see \
         [On the wire](wire.md#nobody-waits-for-ever))",
        &[
            (
                "dataplane/tests/serving/listener.rs",
                "nobody_keeps_a_place_without_a_request",
            ),
            (
                "dataplane/tests/serving/listener.rs",
                "silent_connections_to_the_administration_port_keep_no_probe_out",
            ),
            (
                "dataplane/tests/front.rs",
                "a_preface_and_nothing_behind_it_does_not_hold_a_connection",
            ),
            (
                "dataplane/tests/front.rs",
                "who_says_nothing_makes_room_for_those_who_do",
            ),
            (
                "dataplane/tests/h2.rs",
                "requests_take_no_more_files_than_there_are_for_backends",
            ),
            (WAITING, "three_hundred_silent_connections_keep_no_proxy_out"),
            (
                WAITING,
                "nobody_waits_on_the_port_of_the_stream_for_more_than_ten_seconds",
            ),
            (WAITING, "a_refused_token_prolongs_nothing"),
            (
                "dataplane/accept/src/places/tests.rs",
                "one_address_takes_the_places_of_no_other",
            ),
            (
                "dataplane/accept/src/serve.rs",
                "silence_and_half_a_head_end_after_ten_seconds_and_idleness_after_thirty",
            ),
        ],
    ),
    threat(
        "objects of one author that are too large, or too many, for one snapshot",
        "refused by name, the largest first and then the youngest; everybody else's changes go on",
        &[
            (
                SIZES,
                "an_object_over_a_mebibyte_is_refused_by_name_and_keeps_its_match",
            ),
            (
                SIZES,
                "over_the_budget_the_largest_are_refused_then_the_youngest_and_everybody_else_goes_on",
            ),
            (SIZES, "an_old_object_that_grows_displaces_no_other"),
            (SIZES, "a_flood_of_the_smallest_leaves_a_snapshot_too"),
            (
                SIZES,
                "endpoints_that_are_too_many_are_a_verdict_on_those_who_name_them",
            ),
            (BUDGET, "accounts_hold_through_any_history"),
        ],
    ),
    threat(
        "objects of one author that cost the operator more than they are",
        "what is judged again is what changed: the winner of a match, not all who asked for it; no object for an endpoint",
        &[
            (
                SIZES,
                "an_endpoint_change_judges_no_object_and_a_crowd_is_judged_by_its_winner",
            ),
            (
                "dataplane/routing/tests/properties/precedence.rs",
                "who_joins_a_crowd_concerns_its_winner_alone",
            ),
            (BUDGET, "the_cost_of_a_change_is_not_that_of_the_whole"),
            (
                "operator/src/status.rs",
                "an_object_that_changes_all_the_time_keeps_nobody_waiting",
            ),
        ],
    ),
    threat(
        "backends of one author that cost a data plane more than they are: names nobody answers about, states that change all the time, stubs without number",
        "each waits in a line of its own, and what is told of them is bounded",
        &[
            (
                "dataplane/src/upstream/names.rs",
                "names_without_an_answer_keep_no_other_name_waiting",
            ),
            (
                "dataplane/src/upstream/health.rs",
                "an_object_that_fails_and_heals_all_the_time_keeps_nobody_waiting",
            ),
            (
                "dataplane/src/upstream/health.rs",
                "a_hundred_thousand_objects_are_told_of_in_the_time_of_as_many_steps",
            ),
            (
                "dataplane/src/config/stream/verdicts.rs",
                "verdicts_never_grow_past_what_is_read",
            ),
        ],
    ),
    threat(
        "a backend whose address wraps another one, or is reserved",
        "the address that is meant is judged, by the registries of special-purpose addresses",
        &[
            (ADDRESSES, "embedded_addresses_are_judged_in_every_form"),
            (ADDRESSES, "every_row_is_what_it_says_at_both_ends"),
        ],
    ),
    threat(
        "a message that writes into a terminal or a log",
        "status messages, refusals and names are bounded and hold no control characters",
        &[
            (
                "operator/compile/src/sentence.rs",
                "texts_are_bounded_and_have_no_control_characters",
            ),
            (SIZES, "what_is_said_is_bounded_whatever_an_author_wrote"),
            (
                "operator/tools/src/directory/tests.rs",
                "names_that_no_api_server_takes_are_told_by_file_document_and_field",
            ),
            (
                "dataplane/routing/tests/access.rs",
                "refusal_is_of_bounded_length_and_harmless_to_a_terminal",
            ),
            (CLOSED, "names_that_would_garble_a_log_are_refused"),
        ],
    ),
    threat(
        "rules that compute for minutes on one path, or make one of it that grows without end",
        "one budget of steps for all rules of a request, then 503 with the number of the rule; a limit for every result",
        &[
            (BUDGETS, "globs_on_the_longest_path_are_matched_to_their_end"),
            (BUDGETS, "rules_that_compute_too_much_are_named_with_their_number"),
            (BUDGETS, "one_rule_that_repeats_what_was_sent_ends_at_the_limit"),
            (
                "dataplane/routing/src/directives/glob.rs",
                "what_would_take_a_minute_is_given_up",
            ),
            (
                "dataplane/routing/src/answer/links.rs",
                "a_cookie_of_many_paths_is_left_as_it_is",
            ),
        ],
    ),
    threat(
        "regular expressions that fill the memory of every data plane",
        "a budget for one object and one for all, the oldest first; what workers match with does not grow with them",
        &[
            (
                BUDGETS,
                "expressions_of_one_object_have_one_budget_and_equal_ones_count_once",
            ),
            (
                "operator/compile/src/compiler/tests.rs",
                "expressions_of_one_author_leave_those_of_others_alone",
            ),
            (
                "operator/compile/src/compiler/expressions.rs",
                "a_newcomer_displaces_nobody_and_gets_the_room_of_who_goes",
            ),
            (
                "dataplane/routing/src/directives/regexp/scratch.rs",
                "memory_does_not_grow_with_the_number_of_expressions",
            ),
        ],
    ),
    threat(
        "an answer that unpacks to a thousand times its size, or grows by its links",
        "memory is bounded, and beyond 64 MiB so is the rate of all such answers together; what grows too much passes as it is",
        &[
            (
                "dataplane/src/proxy/rewriting/tests.rs",
                "bombs_wait_and_take_little_memory",
            ),
            (
                "dataplane/src/proxy/rewriting/tests.rs",
                "what_would_grow_without_end_passes_as_it_is",
            ),
            (
                "dataplane/src/proxy/rewriting/pace.rs",
                "all_together_have_one_rate",
            ),
        ],
    ),
    threat(
        "a Connector that points a Secret at a server of its author's",
        "whoever writes it needs `get` on the Secret and `external` on the host",
        &[(
            "e2e/tests/suites/charts/connectors.rs",
            "who_may_connect_a_tool_is_decided_at_admission",
        )],
    ),
    threat(
        "a Connector that names the Secret of another namespace",
        "it is never used, and the Connector says so",
        &[(TOOLS_REMOVAL, "the_secret_of_another_namespace_is_never_used")],
    ),
    threat(
        "a policy that sends requests to a server of its author's, inside `switch` too",
        "whoever writes it needs `external` on the host, which is written out",
        &[(EXTENSIONS, "who_may_extend_the_gateway_is_decided_at_admission")],
    ),
    threat(
        "a policy that makes a caller somebody else, or hands their credential on",
        "whoever writes it needs `impersonate` on users",
        &[(EXTENSIONS, "who_may_extend_the_gateway_is_decided_at_admission")],
    ),
    threat(
        "a policy that sets `X_Remote_User`",
        "refused when it is written",
        &[(EXTENSIONS, "who_may_extend_the_gateway_is_decided_at_admission")],
    ),
    threat(
        "a credential that is used on when it was changed, deleted, or may no longer be read",
        "the next request has the new one, or none",
        &[
            (
                "e2e/tests/suites/connectors/rotation.rs",
                "a_changed_secret_is_used_at_once_and_fails_no_request",
            ),
            (TOOLS_REMOVAL, "what_is_missing_is_told_by_conditions_and_answers"),
            (
                TOOLS_REMOVAL,
                "a_right_that_is_taken_away_takes_the_value_with_it",
            ),
        ],
    ),
    threat(
        "a credential or a token in a log, a metric, a status, an Event, an answer or on disk",
        "it is in none of them, whatever goes wrong",
        &[(
            "e2e/tests/suites/connectors/leaks.rs",
            "no_credential_is_where_it_has_no_business",
        )],
    ),
];
