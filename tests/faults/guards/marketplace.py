"""The guards of what a marketplace plugs in: events, feed and search, trust and review."""

# Code stands here in strings, as long as it stands in its file.
# ruff: noqa: E501

from typing import Final

from tests.faults.mutations import Mutation

_STREAM = "tests/producer/test_stream.py::"
_CATALOGUE = "tests/producer/test_catalogue.py::"
_REPLAY = "tests/producer/test_replay.py::"
_OPENSEARCH = "tests/search/test_opensearch.py::"
_POSTGRES = "tests/search/test_postgres.py::"
_FEED = "tests/shared/db/test_search_feed.py::"
_FLAGGER = "tests/trust/test_flagger.py::"
_SPAM = "tests/shared/domain/test_spam.py::"
_ATTACKERS = "tests/review/test_attackers.py::"

MARKETPLACE: Final = [
    Mutation(
        "EVENTS",
        "acknowledging after the commit",
        "producer/stream.py",
        '            with self._watchdog.watching():\n                new = self._read(">", _BATCH, block_ms=round(_BLOCK_S * 1000))\n',
        '            with self._watchdog.watching():\n                new = self._read(">", _BATCH, block_ms=round(_BLOCK_S * 1000))\n                if new:\n                    self._client.xack(self._stream, self._group, *(entry.id for entry in new))\n',
        _STREAM + "test_a_reader_that_is_killed_again_and_again_loses_nothing",
    ),
    Mutation(
        "EVENTS",
        "taking over what a dead reader had",
        "producer/stream.py",
        "abandoned = [] if full else self._take_over()",
        "abandoned = []",
        _STREAM + "test_what_a_killed_reader_had_in_hand_is_recorded_by_another",
    ),
    Mutation(
        "EVENTS",
        "putting poison aside",
        "producer/stream.py",
        "elif entry.deliveries > MAX_DELIVERIES:",
        "elif False:",
        _STREAM + "test_an_entry_whose_readers_always_die_is_put_aside",
    ),
    Mutation(
        "EVENTS",
        "leaving entries in the stream while too many photos wait",
        "producer/stream.py",
        "            if full:\n                stop.wait(_PAUSE_S)\n                continue\n",
        "",
        _STREAM + "test_while_too_many_photos_wait_entries_stay_in_the_stream",
    ),
    Mutation(
        "EVENTS",
        "the bound of a cell",
        "producer/catalogue.py",
        "csv.field_size_limit(max_bytes)",
        "csv.field_size_limit(1 << 40)",
        _CATALOGUE + "test_a_quote_that_never_ends_costs_no_more_than_a_cell_may_hold",
    ),
    Mutation(
        "EVENTS",
        "asking when a catalogue was true",
        "producer/catalogue.py",
        'if as_of is None and "occurred_at" not in columns:',
        "if False:",
        _CATALOGUE + "test_without_any_time_nothing_is_taken_for_newer_than_what_happened_since",
    ),
    Mutation(
        "EVENTS",
        "offering whole lines only",
        "producer/replay.py",
        "id > :after AND {_WHOLE} AND {_CHOSEN}",
        "id > :after AND {_CHOSEN}",
        _REPLAY + "test_a_line_that_was_not_kept_whole_stays_and_is_counted",
    ),
    Mutation(
        "EVENTS",
        "sending no back catalogue while new photos wait",
        "producer/relay.py",
        "Rung(0, full=True) if new.waited else self._ring_lane(Lane.BACKFILL)",
        "self._ring_lane(Lane.BACKFILL)",
        "tests/producer/test_relay.py::"
        "test_no_back_catalogue_is_rung_for_while_new_photos_wait_for_a_worker",
    ),
    Mutation(
        "EVENTS",
        "processes of their own for back catalogues",
        "worker/cli.py",
        "lanes = [Lane.TAGGING] * count + [Lane.BACKFILL] * count + [Lane.SLOW]\n",
        'lanes = [f"{Lane.TAGGING},{Lane.BACKFILL}"] * count + [Lane.SLOW]\n',
        "tests/flow/test_backfill.py::"
        "test_a_new_photo_is_tagged_while_every_thread_for_back_catalogues_is_busy",
    ),
    Mutation(
        "SEARCH",
        "a counter that is held until the commit",
        "shared/db/search_feed.py",
        'text("UPDATE feed_head SET position = position + :count RETURNING position")',
        "text(\"SELECT coalesce(max(position), 0) + nextval('fencing_token') * 0 + :count FROM search_feed\")",
        _FEED + "test_a_reader_never_misses_what_commits_late",
    ),
    Mutation(
        "SEARCH",
        "keeping each listing's newest document",
        "shared/db/search_feed.py",
        "AND newer.doc_version > old.doc_version",
        "",
        _FEED + "test_compaction_leaves_the_newest_of_each_listing_to_readers_that_begin_or_lag",
    ),
    Mutation(
        "SEARCH",
        "external versions",
        "search/opensearch.py",
        '"version": entry.doc_version, "version_type": "external"',
        '"version": 1 << 40, "version_type": "external"',
        _OPENSEARCH + "test_creation_update_and_deletion_arrive_with_their_versions",
    ),
    Mutation(
        "SEARCH",
        "waiting with what cannot be taken now",
        "search/opensearch.py",
        "if status in _NOT_NOW or status >= 500:",
        "if False:",
        _OPENSEARCH + "test_what_is_not_taken_now_comes_again",
    ),
    Mutation(
        "SEARCH",
        "following no redirect with documents and a password",
        "search/opensearch.py",
        "(pycurl.FOLLOWLOCATION, 0)",
        "(pycurl.FOLLOWLOCATION, 1)",
        _OPENSEARCH + "test_documents_go_nowhere_else",
    ),
    Mutation(
        "SEARCH",
        "the deadline of a whole request",
        "search/opensearch.py",
        "            (pycurl.TIMEOUT_MS, round(deadline_s * 1000)),\n",
        "",
        _OPENSEARCH + "test_a_cluster_whose_answer_drips_is_away",
    ),
    Mutation(
        "SEARCH",
        "the most bytes of an answer",
        "search/opensearch.py",
        "len(received) + len(part) > MAX_ANSWER_BYTES",
        "False",
        _OPENSEARCH + "test_a_cluster_whose_answer_is_huge_is_away",
    ),
    Mutation(
        "SEARCH",
        "one follower at a time",
        "shared/db/follow.py",
        "WHERE name = :name FOR UPDATE SKIP LOCKED",
        "WHERE name = :name",
        _OPENSEARCH + "test_of_two_at_once_none_loses_or_repeats_anything",
    ),
    Mutation(
        "SEARCH",
        "the rank of where a word stands",
        "search/postgres.py",
        "array_to_string(tags, ' . ')), 'A')",
        "array_to_string(tags, ' . ')), 'D')",
        _POSTGRES + "test_words_are_found_where_they_stand_and_those_of_photos_come_first",
    ),
    Mutation(
        "TRUST",
        "doubting on evidence only",
        "shared/domain/spam.py",
        "doubtful = (against >= self.evidence) & ~implied",
        "doubtful = ~implied",
        _SPAM + "test_photos_that_show_nothing_are_no_evidence",
    ),
    Mutation(
        "TRUST",
        "what a shown tag implies",
        "shared/domain/spam.py",
        "doubtful = (against >= self.evidence) & ~implied",
        "doubtful = against >= self.evidence",
        _SPAM + "test_what_a_shown_tag_implies_is_not_doubted",
    ),
    Mutation(
        "TRUST",
        "flags that go with their reason",
        "trust/flagger.py",
        " | {*listing_flags.pointing_at(connection, named)}",
        "",
        _FLAGGER + "test_a_copy_is_unflagged_when_the_first_listing_is_deleted",
    ),
    Mutation(
        "TRUST",
        "looking at later copies again",
        "trust/flagger.py",
        "        ids |= {*reuse.with_later_copies(connection, sorted(ids))}\n",
        "",
        _FLAGGER + "test_it_is_the_later_listing_also_where_its_photo_was_tagged_first",
    ),
    Mutation(
        "TRUST",
        "shadow",
        "trust/flagger.py",
        "listing_flags.replace(connection, flags, shadow=self._shadow)",
        "listing_flags.replace(connection, flags, shadow=False)",
        _FLAGGER + "test_in_shadow_no_document_mentions_flags",
    ),
    Mutation(
        "REVIEW",
        "forms carry the session's own token",
        "review/auth.py",
        "if not hmac.compare_digest(given, session.csrf.encode()):",
        "if False:",
        _ATTACKERS + "test_a_form_without_this_sessions_token_changes_nothing",
    ),
    Mutation(
        "REVIEW",
        "forms come from the page's own origin",
        "review/middleware.py",
        'if headers.getlist("origin") not in ([origin] for origin in self._origins):',
        "if False:",
        _ATTACKERS + "test_a_form_from_elsewhere_changes_nothing",
    ),
    Mutation(
        "REVIEW",
        "only this host's names",
        "review/middleware.py",
        'if headers.getlist("host") not in ([host] for host in self._hosts):',
        "if False:",
        _ATTACKERS + "test_a_name_that_dns_points_here_is_not_ours",
    ),
    Mutation(
        "REVIEW",
        "sellers' words are never code",
        "review/pages.py",
        "autoescape=True",
        "autoescape=False",
        _ATTACKERS + "test_what_a_seller_writes_is_shown_and_never_code",
    ),
    Mutation(
        "REVIEW",
        "sessions end",
        "review/reviewers.py",
        "AND expires_at > now() AND password IS NOT NULL",
        "AND password IS NOT NULL",
        _ATTACKERS + "test_a_session_ends_when_it_is_ended_expires_or_its_reviewer_is_removed",
    ),
    Mutation(
        "REVIEW",
        "passwords are tried a few times a minute",
        "review/auth.py",
        "wait_s = self._throttle.wait_s(name, now)",
        "wait_s = 0",
        _ATTACKERS
        + "test_passwords_are_tried_a_few_times_a_minute_whether_there_is_such_a_name_or_not",
    ),
    Mutation(
        "REVIEW",
        "votes that are even decide nothing",
        "shared/db/votes.py",
        "WHEN even THEN 'even_votes' END",
        "END",
        "tests/worker/dataset/test_voted.py::"
        "test_decided_listings_give_rows_and_the_others_are_counted",
    ),
    Mutation(
        "REVIEW",
        "loopback alone without an origin",
        "review/server.py",
        "if settings.review_origin is None and not server.is_loopback(host):",
        "if False:",
        "tests/review/test_server.py::test_elsewhere_it_needs_an_origin",
    ),
]
