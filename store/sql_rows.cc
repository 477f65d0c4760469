// SPDX-License-Identifier: Apache-2.0
#include "store/sql_rows.h"

#include <algorithm>
#include <sstream>

#include "store/sql_connections.h"

namespace cvlan::store {

namespace {
constexpr size_t kLongestDescription = 1024;
}

model::Membership membership_row(const Statement& row, int first_column) {
    const int c = first_column;
    model::Membership membership;
    membership.network_id = row.text(c);
    membership.node_id = row.text(c + 1);
    membership.wireguard_key = row.text(c + 2);
    membership.ipv4 = row.address(c + 3);
    membership.ipv6 = row.address(c + 4);
    membership.listen_port = static_cast<uint16_t>(row.integer(c + 5));
    for (const std::string& word : split_words(row.text(c + 6)))
        if (auto endpoint = Endpoint::parse(word)) membership.endpoints.push_back(*endpoint);
    membership.revision = row.integer(c + 7);
    membership.relay_id = row.text(c + 8);
    membership.ipsec = row.integer(c + 9) != 0;
    membership.gateway = row.integer(c + 10) != 0;
    membership.routes = split_words(row.text(c + 11));
    return membership;
}

std::string endpoints_text(const std::vector<Endpoint>& endpoints) {
    std::string text;
    for (const Endpoint& endpoint : endpoints) {
        if (!text.empty()) text += ' ';
        text += endpoint.text();
    }
    return text;
}

std::vector<std::string> split_words(const std::string& text) {
    std::istringstream stream(text);
    std::vector<std::string> words;
    for (std::string word; stream >> word;) words.push_back(std::move(word));
    return words;
}

RowInsert::RowInsert(std::string_view into, size_t columns) : columns_(columns) {
    std::string row = "?";
    for (size_t i = 1; i < columns; ++i) row += ", ?";
    arrays_ = fmt::format("{} SELECT * FROM unnest({})", into, row);
    for (const size_t rows : {64, 8, 1}) {
        std::string text = fmt::format("{} VALUES ({})", into, row);
        for (size_t i = 1; i < rows; ++i) text += fmt::format(", ({})", row);
        lists_.emplace_back(rows, std::move(text));
    }
}

RowInsert::Slice RowInsert::slice(Dialect dialect, size_t left) const {
    // So few that the server is at the first ones while the last are still made.
    if (dialect == Dialect::Postgres) return {std::min<size_t>(left, 256), arrays_};
    const auto fits = [&](const auto& list) { return list.first <= left; };
    const auto list = std::find_if(lists_.begin(), lists_.end(), fits);
    return {list->first, list->second};
}

std::string wireguard_key_hash(const std::string& key) { return hex(sha256(as_bytes(key))); }

std::optional<std::string> network_of(const model::TokenClaims& claims) {
    if (claims.role == model::TokenRole::Relay) return std::nullopt;
    return claims.network_id;
}

Result<void> check_description(const std::string& text) {
    if (text.size() <= kLongestDescription && is_utf8(text)) return {};
    return failed(Error{Code::Invalid, "description: must be UTF-8 and at most 1024 bytes", 0,
                        "/description"});
}

namespace {

Result<std::string> tag_id(Database& db, const std::string& tenant_id, const std::string& name,
                           std::string_view field = "tags") {
    Statement row = db.sql("SELECT id FROM objects WHERE tenant_id = ? AND kind = ? AND name = ?",
                           tenant_id, model::ObjectKind::Tag, name);
    if (row.next()) return row.text(0);
    if (row.error()) return failed(*row.error());
    return failed(Error{Code::Invalid,
                        fmt::format("{}: there is no tag '{}'", field, printable(name)), 0,
                        fmt::format("/{}", field)});
}

}  // namespace

Result<void> check_tags(Database& db, const std::string& tenant_id,
                        const std::vector<std::string>& names) {
    for (const std::string& name : names)
        if (auto id = tag_id(db, tenant_id, name); !id) return failed(id.error());
    return {};
}

Result<void> put_tags(Database& db, const Key& node, const std::vector<std::string>& names) {
    auto done =
        db.sql("DELETE FROM node_tags WHERE tenant_id = ? AND node_id = ?", node.tenant_id, node.id)
            .run();
    for (const std::string& name : names) {
        if (!done) return done;
        auto id = tag_id(db, node.tenant_id, name);
        if (!id) return failed(id.error());
        done = db.sql(
                     "INSERT INTO node_tags (tenant_id, node_id, tag_id) VALUES (?, ?, ?) ON "
                     "CONFLICT DO NOTHING",
                     node.tenant_id, node.id, *id)
                   .run();
    }
    return done;
}

Result<void> load_ipsec_tags(Database& db, model::Network& network) {
    Statement rows = db.sql(
        "SELECT o.name FROM network_ipsec_tags x JOIN objects o ON o.tenant_id = x.tenant_id AND "
        "o.id = x.tag_id WHERE x.tenant_id = ? AND x.network_id = ? ORDER BY o.name",
        network.tenant_id, network.id);
    while (rows.next()) network.ipsec_tags.push_back(rows.text(0));
    if (rows.error()) return failed(*rows.error());
    return {};
}

Result<void> put_ipsec_tags(Database& db, const Key& network,
                            const std::vector<std::string>& names) {
    auto done = db.sql("DELETE FROM network_ipsec_tags WHERE tenant_id = ? AND network_id = ?",
                       network.tenant_id, network.id)
                    .run();
    for (const std::string& name : names) {
        if (!done) return done;
        auto id = tag_id(db, network.tenant_id, name, "ipsecTags");
        if (!id) return failed(id.error());
        done = db.sql(
                     "INSERT INTO network_ipsec_tags (tenant_id, network_id, tag_id) VALUES (?, ?, "
                     "?) ON CONFLICT DO NOTHING",
                     network.tenant_id, network.id, *id)
                   .run();
    }
    return done;
}

Result<void> settle_ipsec(Database& db, MembershipsOf kind, const Key& of, Revision revision) {
    return db
        .sql(fmt::format(
                 "UPDATE memberships SET ipsec = 1 - ipsec, revision = ? WHERE tenant_id = ? AND "
                 "{} = ? AND ipsec <> CASE WHEN EXISTS (SELECT 1 FROM node_tags t JOIN "
                 "network_ipsec_tags x ON x.tenant_id = t.tenant_id AND x.tag_id = t.tag_id WHERE "
                 "t.tenant_id = memberships.tenant_id AND t.node_id = memberships.node_id AND "
                 "x.network_id = memberships.network_id) THEN 1 ELSE 0 END",
                 kind == MembershipsOf::Network ? "network_id" : "node_id"),
             revision, of.tenant_id, of.id)
        .run();
}

Result<void> settle_gateway(Database& db, const Key& node) {
    constexpr const char* kOfVrouter =
        "FROM objects o JOIN object_links n ON n.tenant_id = o.tenant_id AND n.object_id = o.id "
        "AND n.relation = ?3 AND n.target_id = ?2 JOIN object_links w ON w.tenant_id = o.tenant_id "
        "AND w.object_id = o.id AND w.relation = ?4 AND w.target_id = memberships.network_id WHERE "
        "o.tenant_id = ?1 AND o.kind = ?5 AND EXISTS (SELECT 1 FROM nodes v WHERE v.tenant_id = ?1 "
        "AND v.id = ?2 AND v.role = ?6) ORDER BY o.id LIMIT 1";
    auto done =
        db.sql(fmt::format(
                   "UPDATE memberships SET gateway = CASE WHEN EXISTS (SELECT 1 {0}) THEN 1 "
                   "ELSE 0 END, routes = COALESCE((SELECT o.routes {0}), '') WHERE tenant_id "
                   "= ?1 AND node_id = ?2",
                   kOfVrouter),
               node.tenant_id, node.id, model::Relation::Node, model::Relation::Network,
               model::ObjectKind::Vrouter, model::TokenRole::Vrouter)
            .run();
    return done ? add_connection_routes(db, node) : done;
}

Result<void> drop_links_to(Database& db, const Key& target) {
    auto done = db.sql(
                      "UPDATE objects SET revision = (SELECT revision FROM tenants WHERE id = ?1) "
                      "WHERE tenant_id = ?1 AND id IN (SELECT object_id FROM object_links WHERE "
                      "tenant_id = ?1 AND target_id = ?2)",
                      target.tenant_id, target.id)
                    .run();
    if (!done) return done;
    return db
        .sql("DELETE FROM object_links WHERE tenant_id = ? AND target_id = ?", target.tenant_id,
             target.id)
        .run();
}

Result<bool> is_barred(Database& db, BarredKind kind, std::string_view hash) {
    Statement row = db.sql("SELECT 1 FROM barred_keys WHERE kind = ? AND hash = ?", kind, hash);
    const bool barred = row.next();
    if (row.error()) return failed(*row.error());
    return barred;
}

Result<std::optional<Key>> node_of_tls_key(Database& db, const std::string& tenant_id,
                                           const std::string& tls_key_hash) {
    Statement row = db.sql(
        "SELECT id FROM nodes WHERE tenant_id = ?1 AND tls_key_hash = ?2 UNION "
        "SELECT id FROM nodes WHERE tenant_id = ?1 AND previous_tls_key_hash = ?2 AND "
        "previous_tls_key_hash <> '' LIMIT 1",
        tenant_id, tls_key_hash);
    std::optional<Key> key;
    if (row.next()) key = Key{tenant_id, row.text(0)};
    if (row.error()) return failed(*row.error());
    return key;
}

}  // namespace cvlan::store
