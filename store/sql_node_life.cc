// SPDX-License-Identifier: Apache-2.0
// What becomes of a node after it came in, and nodes that never come in: external ones.
#include <algorithm>

#include "store/sql_rows.h"
#include "store/sql_store.h"

namespace cvlan::store {

namespace {

constexpr int kJobLimit = 20;  // each a change with event and audit; writers wait for it

Result<std::vector<Key>> keys_of(Statement rows) {
    std::vector<Key> keys;
    while (rows.next()) keys.push_back({rows.text(0), rows.text(1)});
    if (rows.error()) return failed(*rows.error());
    return keys;
}

// The fields of a change that no other node hears of, but for what tags say of IPsec; whether there
// were any.
Result<bool> put_node_fields(Database& db, const model::Node& node, const NodeChange& change) {
    bool has_changed = false;
    if (change.tags && *change.tags != node.tags) {
        if (auto put = put_tags(db, {node.tenant_id, node.id}, *change.tags); !put)
            return failed(put.error());
        has_changed = true;
    }
    const bool moves = change.key_expires_at || change.never_expires;
    const auto wanted = change.never_expires ? std::nullopt : change.key_expires_at;
    if (!moves || wanted == node.key_expires_at) return has_changed;
    auto done = db.sql("UPDATE nodes SET key_expires_at = ? WHERE tenant_id = ? AND id = ?", wanted,
                       node.tenant_id, node.id)
                    .run();
    if (!done) return failed(done.error());
    return true;
}

}  // namespace

Result<model::Node> SqlStore::update_node(const Key& key, const NodeChange& change) {
    if (change.name)
        if (auto good = model::check_name("name", *change.name); !good) return failed(good.error());
    return write([&]() -> Result<model::Node> {
        auto node = find_node(key.tenant_id, key.id);
        if (!node) return node;
        if (auto match = check_match(cause_, node->revision); !match) return failed(match.error());
        const auto has_changed = put_node_fields(db_, *node, change);
        if (!has_changed) return failed(has_changed.error());
        if (change.name && *change.name != node->name) {
            auto is_free = is_name_free(key.tenant_id, *change.name);
            if (!is_free) return failed(is_free.error());
            if (!*is_free) return fail(Code::Exists, "node name '{}' is taken", *change.name);
            auto done = db_.sql("UPDATE nodes SET name = ? WHERE tenant_id = ? AND id = ?",
                                *change.name, key.tenant_id, key.id)
                            .run();
            if (!done) return failed(done.error());
            return change_node(key, EventKind::NodeRenamed, public_text(*node));
        }
        if (!*has_changed) return node;
        auto revision = record(key, EventKind::NodeChanged, {}, public_text(*node));
        if (!revision) return failed(revision.error());
        auto marked = db_.sql("UPDATE nodes SET revision = ? WHERE tenant_id = ? AND id = ?",
                              *revision, key.tenant_id, key.id)
                          .run();
        if (marked) marked = settle_ipsec(db_, MembershipsOf::Node, key, *revision);
        if (!marked) return failed(marked.error());
        return audited(find_node(key.tenant_id, key.id));
    });
}

Result<model::Node> SqlStore::approve_node(const Key& key) {
    return write([&]() -> Result<model::Node> {
        auto node = find_node(key.tenant_id, key.id);
        if (!node) return node;
        if (auto match = check_match(cause_, node->revision); !match) return failed(match.error());
        auto done = db_.sql(
                           "UPDATE nodes SET approved = 1, state = CASE state WHEN 3 THEN 0 ELSE "
                           "state END WHERE tenant_id = ? AND id = ? AND approved = 0",
                           key.tenant_id, key.id)
                        .run();
        if (!done) return failed(done.error());
        if (db_.changes() == 0) return node;
        return change_node(key, EventKind::NodeApproved, public_text(*node));
    });
}

Result<model::Node> SqlStore::create_external(const NewExternal& wanted) {
    if (auto good = model::check_name("name", wanted.name); !good) return failed(good.error());
    Joining joining{{}, wanted.wireguard_key, 0, {}};
    joining.token.tenant_id = wanted.tenant_id;
    joining.token.network_id = wanted.network_id;
    return write([&]() -> Result<model::Node> {
        const WallTime now = clock_.now();
        const Key key{wanted.tenant_id, new_uuid(unix_ms(now))};
        if (auto good = check_not_suspended(key.tenant_id); !good) return failed(good.error());
        if (auto good = check_keys(joining, {}); !good) return failed(good.error());
        auto is_free = is_name_free(key.tenant_id, wanted.name);
        if (!is_free) return failed(is_free.error());
        if (!*is_free) return fail(Code::Exists, "node name '{}' is taken", wanted.name);
        auto settings = find_settings(db_, key.tenant_id);
        if (!settings) return failed(settings.error());
        auto done = db_.sql(
                           "INSERT INTO nodes (tenant_id, id, name, state, role, "
                           "certificate_serial, tls_key_hash, certificate_expires_at, "
                           "enrolled_with, created_at, revision, external, key_expires_at, owner) "
                           "VALUES (?, ?, ?, ?, ?, '', ?, 0, '', ?, 0, 1, ?, ?)",
                           key.tenant_id, key.id, wanted.name, model::NodeState::Active,
                           model::TokenRole::Node, "external:" + key.id, now,
                           key_end(*settings, now), owner())
                        .run();
        if (done) done = put_membership(key, joining);
        if (done) done = put_tags(db_, key, wanted.tags);
        if (!done) return failed(done.error());
        auto node = change_node(key, EventKind::NodeEnrolled, {});
        if (!node) return node;
        if (auto fits = check_quota(key.tenant_id, Quota::Nodes); !fits)
            return failed(fits.error());
        return node;
    });
}

Result<std::vector<Key>> SqlStore::delete_idle_nodes(WallTime up_since) {
    return write([&]() -> Result<std::vector<Key>> {
        auto keys =
            keys_of(db_.sql("SELECT tenant_id, id FROM nodes WHERE ephemeral_ms IS NOT NULL AND "
                            "COALESCE(last_seen_at, enrolled_at, created_at) + ephemeral_ms <= ?1 "
                            "AND ?2 + ephemeral_ms "
                            "<= ?1 LIMIT ?3",
                            clock_.now(), up_since, kJobLimit));
        if (!keys) return keys;
        for (const Key& key : *keys) {
            auto node = find_node(key.tenant_id, key.id);
            if (!node) return failed(node.error());
            if (auto gone = remove_node(*node); !gone) return failed(gone.error());
        }
        return keys;
    });
}

Result<std::vector<Key>> SqlStore::expire_due_keys() {
    return write([&]() -> Result<std::vector<Key>> {
        auto keys = keys_of(
            db_.sql("SELECT tenant_id, id FROM nodes WHERE key_expires_at IS NOT NULL AND state IN "
                    "(0, 3) AND key_expires_at <= ? LIMIT ?",
                    clock_.now(), kJobLimit));
        if (!keys) return keys;
        for (const Key& key : *keys) {
            auto node = find_node(key.tenant_id, key.id);
            if (!node) return failed(node.error());
            auto done = db_.sql("UPDATE nodes SET state = ? WHERE tenant_id = ? AND id = ?",
                                model::NodeState::Expired, key.tenant_id, key.id)
                            .run();
            if (!done) return failed(done.error());
            auto expired = change_node(key, EventKind::NodeExpired, public_text(*node));
            if (!expired) return failed(expired.error());
        }
        return keys;
    });
}

std::optional<WallTime> key_end(const model::Settings& settings, WallTime now) {
    if (!settings.node_key_life) return std::nullopt;
    return now + *settings.node_key_life;
}

}  // namespace cvlan::store
