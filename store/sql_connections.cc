// SPDX-License-Identifier: Apache-2.0
#include "store/sql_connections.h"

#include <fmt/ranges.h>

#include <algorithm>

#include "base/bytes.h"
#include "store/connections.h"
#include "store/sql_pages.h"
#include "store/sql_rows.h"
#include "store/sql_store.h"

namespace cvlan::store {

namespace {

namespace wire = model::wire;
using model::Connection;

constexpr const char* kSelect =
    "SELECT tenant_id, id, name, network_id, remote_addresses, remote_identity, local_identity, "
    "auth, remote_ca, local_subnets, remote_subnets, ike_proposals, esp_proposals, start_action, "
    "dpd_seconds, rekey_seconds, enabled, secret_revision, revision, created_at FROM "
    "ipsec_connections";
constexpr int64_t kMostOfATenant = 1000;

std::string joined(const std::vector<std::string>& words) {
    return fmt::format("{}", fmt::join(words, " "));
}

// The first of them where the row has a word that is none: check_connection refuses what follows.
template <class Enum>
Enum word_of(const std::string& word, std::initializer_list<Enum> all) {
    const auto* const found =
        std::find_if(all.begin(), all.end(), [&](Enum value) { return text(value) == word; });
    return found == all.end() ? *all.begin() : *found;
}

template <class T>
std::vector<T> values_of(const std::string& words) {
    std::vector<T> values;
    for (const std::string& word : split_words(words))
        if (auto value = T::parse(word)) values.push_back(*value);
    return values;
}

Connection connection_row(const Statement& row) {
    using enum wire::IpsecStart;
    Connection connection;
    connection.tenant_id = row.text(0);
    connection.id = row.text(1);
    connection.name = row.text(2);
    connection.network_id = row.text(3);
    connection.remote_addresses = values_of<Address>(row.text(4));
    connection.remote_identity = row.text(5);
    connection.local_identity = row.text(6);
    connection.auth = word_of(row.text(7), {wire::IpsecAuth::Psk, wire::IpsecAuth::Certificate});
    connection.remote_ca = row.text(8);
    connection.local_subnets = values_of<Prefix>(row.text(9));
    connection.remote_subnets = values_of<Prefix>(row.text(10));
    connection.ike_proposals = split_words(row.text(11));
    connection.esp_proposals = split_words(row.text(12));
    connection.start = word_of(row.text(13), {Trap, Start, None});
    connection.dpd = std::chrono::seconds(row.integer(14));
    connection.rekey = std::chrono::seconds(row.integer(15));
    connection.enabled = row.integer(16) != 0;
    connection.secret_revision = row.integer(17);
    connection.revision = row.integer(18);
    connection.created_at = row.time(19);
    return connection;
}

// What a change may change, in the order of the statements that write it.
void bind_changeable(Statement& statement, const Connection& wanted) {
    statement.bind(wanted.name)
        .bind(joined(model::texts_of(wanted.remote_addresses)))
        .bind(wanted.remote_identity)
        .bind(wanted.remote_ca)
        .bind(joined(model::texts_of(wanted.local_subnets)))
        .bind(joined(model::texts_of(wanted.remote_subnets)))
        .bind(joined(wanted.ike_proposals))
        .bind(joined(wanted.esp_proposals))
        .bind(std::string(text(wanted.start)))
        .bind(static_cast<int64_t>(wanted.dpd.count()))
        .bind(static_cast<int64_t>(wanted.rekey.count()))
        .bind(static_cast<int64_t>(wanted.enabled))
        .bind(wanted.secret_revision);
}

Result<void> insert(Database& db, const Connection& made) {
    Statement row = db.sql(
        "INSERT INTO ipsec_connections (tenant_id, id, network_id, local_identity, auth, revision, "
        "created_at, secret, name, remote_addresses, remote_identity, remote_ca, local_subnets, "
        "remote_subnets, ike_proposals, esp_proposals, start_action, dpd_seconds, rekey_seconds, "
        "enabled, secret_revision) VALUES (?, ?, ?, ?, ?, ?, ?, '', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, "
        "?, ?, ?)",
        made.tenant_id, made.id, made.network_id, made.local_identity, std::string(text(made.auth)),
        made.revision, made.created_at);
    bind_changeable(row, made);
    return row.run();
}

Result<void> check_free(Database& db, const Connection& wanted) {
    Statement taken =
        db.sql("SELECT 1 FROM ipsec_connections WHERE tenant_id = ? AND name = ? AND id <> ?",
               wanted.tenant_id, wanted.name, wanted.id);
    if (taken.next()) return fail(Code::Exists, "connection name '{}' is taken", wanted.name);
    if (taken.error()) return failed(*taken.error());
    return {};
}

Result<void> check_has_vrouter(Database& db, const model::Network& network) {
    Statement row = db.sql(
        "SELECT 1 FROM object_links l JOIN objects o ON o.tenant_id = l.tenant_id AND o.id = "
        "l.object_id WHERE l.tenant_id = ? AND l.target_id = ? AND l.relation = ? AND o.kind = ? "
        "LIMIT 1",
        network.tenant_id, network.id, model::Relation::Network, model::ObjectKind::Vrouter);
    if (row.next()) return {};
    if (row.error()) return failed(*row.error());
    return failed(Error{
        Code::Conflict,
        fmt::format("networkId: network '{}' has no vrouter, which holds the tunnel", network.name),
        0, "/networkId"});
}

tl::unexpected<Error> overlap(size_t i, const Prefix& subnet, const std::string& what) {
    return failed(Error{Code::Conflict,
                        fmt::format("remoteSubnets: {} overlaps {}", subnet.text(), what), 0,
                        fmt::format("/remoteSubnets/{}", i)});
}

// Where the subnets overlap a network of the tenant, or a route of a vrouter.
Result<void> check_apart(Database& db, const Connection& wanted) {
    const auto meets = [&](const std::string& text) -> std::optional<size_t> {
        const auto prefix = Prefix::parse(text);
        for (size_t i = 0; prefix && i < wanted.remote_subnets.size(); ++i)
            if (wanted.remote_subnets[i].overlaps(*prefix)) return i;
        return std::nullopt;
    };
    Statement networks = db.sql(
        "SELECT name, ipv4_first, ipv4_length, ipv6_first, ipv6_length FROM networks WHERE "
        "tenant_id = ?",
        wanted.tenant_id);
    while (networks.next()) {
        for (const int column : {1, 3}) {
            const auto first = networks.address(column);
            if (!first) continue;
            const std::string text =
                fmt::format("{}/{}", first->text(), networks.integer(column + 1));
            if (const auto i = meets(text))
                return overlap(*i, wanted.remote_subnets[*i],
                               fmt::format("{} of network '{}'", text, networks.text(0)));
        }
    }
    if (networks.error()) return failed(*networks.error());
    Statement vrouters =
        db.sql("SELECT routes, name FROM objects WHERE tenant_id = ? AND kind = ? AND routes <> ''",
               wanted.tenant_id, model::ObjectKind::Vrouter);
    while (vrouters.next())
        for (const std::string& text : split_words(vrouters.text(0)))
            if (const auto i = meets(text))
                return overlap(*i, wanted.remote_subnets[*i],
                               fmt::format("the route {} of vrouter '{}'", text, vrouters.text(1)));
    if (vrouters.error()) return failed(*vrouters.error());
    for (size_t i = 0; i < wanted.remote_subnets.size(); ++i) {
        auto other = connection_over(db, wanted.tenant_id, wanted.remote_subnets[i], wanted.id);
        if (!other) return failed(other.error());
        if (!other->empty()) return overlap(i, wanted.remote_subnets[i], *other);
    }
    return {};
}

// What its network's gateway has of it.
std::vector<Prefix> routes_of(const Connection& connection) {
    return connection.enabled ? connection.remote_subnets : std::vector<Prefix>();
}

}  // namespace

Result<std::vector<Connection>> connections_of(Database& db, const ConnectionsOf& which) {
    std::string query = fmt::format("{} WHERE tenant_id = ?", kSelect);
    if (!which.network_id.empty()) query += " AND network_id = ?";
    if (which.only_enabled) query += " AND enabled = 1";
    Statement rows = db.sql(query + " ORDER BY id", which.tenant_id);
    if (!which.network_id.empty()) rows.bind(which.network_id);
    std::vector<Connection> all;
    while (rows.next()) all.push_back(connection_row(rows));
    if (rows.error()) return failed(*rows.error());
    return all;
}

Result<std::string> connection_over(Database& db, const std::string& tenant_id,
                                    const Prefix& prefix, const std::string& but_for) {
    Statement rows =
        db.sql("SELECT remote_subnets, name FROM ipsec_connections WHERE tenant_id = ? AND id <> ?",
               tenant_id, but_for);
    while (rows.next())
        for (const Prefix& subnet : values_of<Prefix>(rows.text(0)))
            if (subnet.overlaps(prefix))
                return fmt::format("{} of connection '{}'", subnet.text(), rows.text(1));
    if (rows.error()) return failed(*rows.error());
    return std::string();
}

Result<void> add_connection_routes(Database& db, const Key& node) {
    std::vector<std::pair<std::string, std::string>> added;  // network, routes
    {
        Statement rows = db.sql(
            "SELECT m.network_id, c.remote_subnets FROM memberships m JOIN ipsec_connections c ON "
            "c.tenant_id = m.tenant_id AND c.network_id = m.network_id AND c.enabled = 1 WHERE "
            "m.tenant_id = ? AND m.node_id = ? AND m.gateway = 1 ORDER BY c.id",
            node.tenant_id, node.id);
        while (rows.next()) added.emplace_back(rows.text(0), rows.text(1));
        if (rows.error()) return failed(*rows.error());
    }
    for (const auto& [network_id, routes] : added) {
        auto done = db.sql(
                          "UPDATE memberships SET routes = TRIM(routes || ' ' || ?) WHERE "
                          "tenant_id = ? AND network_id = ? AND node_id = ?",
                          routes, node.tenant_id, network_id, node.id)
                        .run();
        if (!done) return done;
    }
    return {};
}

Result<Connection> Connections::find(const Scope& scope, const std::string& id) {
    Statement row = store_.db_.sql(
        fmt::format("{} WHERE id = ?{}", kSelect, scope ? " AND tenant_id = ?" : ""), id);
    if (scope) row.bind(*scope);
    if (row.next()) return connection_row(row);
    if (row.error()) return failed(*row.error());
    return fail(Code::NotFound, "connection {}: not found", printable(id));
}

Result<void> Connections::check(const Connection& wanted) {
    auto network = store_.find_network(wanted.tenant_id, wanted.network_id);
    if (!network) {
        Error error = network.error();
        if (error.code == Code::NotFound) error.code = Code::Invalid;
        error.pointer = "/networkId";
        return failed(error);
    }
    if (auto good = model::check_connection(wanted); !good) return good;
    if (network->crypto_profile == model::CryptoProfile::FipsAlgorithms)
        if (auto good = model::check_approved(wanted); !good) return good;
    if (auto free = check_free(store_.db_, wanted); !free) return free;
    if (wanted.revision == 0)
        if (auto has = check_has_vrouter(store_.db_, *network); !has) return has;
    return check_apart(store_.db_, wanted);
}

Result<void> Connections::put_secret(const Connection& connection, const Seal& seal) {
    if (!seal) return {};
    return store_.db_
        .sql("UPDATE ipsec_connections SET secret = ? WHERE tenant_id = ? AND id = ?",
             seal(connection), connection.tenant_id, connection.id)
        .run();
}

// One that is there no more leaves the maps: who is away meanwhile is told by a full one.
Result<Revision> Connections::note(const Connection& connection, EventKind kind,
                                   std::string before) {
    auto revision =
        store_.record({connection.tenant_id, connection.id}, kind, {}, std::move(before));
    if (!revision) return revision;
    Engine::work().drafts.back().object_kind = "ipsec-connection";
    if (kind == EventKind::ObjectCreated) return revision;
    auto marked =
        store_.db_
            .sql("UPDATE tenants SET removed_at = revision WHERE id = ?", connection.tenant_id)
            .run();
    if (!marked) return failed(marked.error());
    return revision;
}

// The routes of the network's gateway are others by this.
Result<void> Connections::settle(const Key& network) {
    std::vector<std::string> nodes;
    {
        Statement rows = store_.db_.sql(
            "SELECT node_id FROM memberships WHERE tenant_id = ? AND network_id = ? AND gateway = "
            "1",
            network.tenant_id, network.id);
        while (rows.next()) nodes.push_back(rows.text(0));
        if (rows.error()) return failed(*rows.error());
    }
    for (const std::string& id : nodes) {
        auto node = store_.find_node(network.tenant_id, id);
        if (!node) return failed(node.error());
        auto told =
            store_.change_node({network.tenant_id, id}, EventKind::NodeChanged, public_text(*node));
        if (!told) return failed(told.error());
    }
    return {};
}

Result<Connection> Connections::create(const Connection& wanted, const std::string& trust_domain,
                                       const Seal& seal) {
    return store_.write([&]() -> Result<Connection> {
        Connection made = wanted;
        made.created_at = store_.clock_.now();
        made.id = new_uuid(unix_ms(made.created_at));
        made.local_identity = model::local_ike_identity(made.id, trust_domain);
        made.secret_revision = seal ? 1 : 0;
        made.revision = 0;
        auto revision = note(made, EventKind::ObjectCreated, "");
        if (!revision) return failed(revision.error());
        if (auto good = check(made); !good) return failed(good.error());
        made.revision = *revision;
        if (auto done = insert(store_.db_, made); !done) return failed(done.error());
        if (auto put = put_secret(made, seal); !put) return failed(put.error());
        Statement held = store_.db_.sql(
            "SELECT count(*) FROM ipsec_connections WHERE tenant_id = ?", made.tenant_id);
        if (auto room = check_room(held, kMostOfATenant, "ipsec connections"); !room)
            return failed(room.error());
        store_.note_after(made);
        if (made.enabled)
            if (auto told = settle({made.tenant_id, made.network_id}); !told)
                return failed(told.error());
        return made;
    });
}

Result<Page<Connection>> Connections::list(const Filter& filter) {
    if (auto good = check_page(filter); !good) return failed(good.error());
    return store_.read([&]() -> Result<Page<Connection>> {
        Statement rows = ListQuery(kSelect, filter, "id", "name")
                             .where("tenant_id = ?", filter.tenant)
                             .where("name = ?", filter.name)
                             .where("network_id = ?", filter.network_id)
                             .where("enabled = ?", filter.enabled)
                             .run(store_.db_);
        auto page = read_page<Connection>(rows, filter, connection_row);
        if (!page) return page;
        const auto bytes_of = [](const Connection& one) -> Result<size_t> {
            return one.remote_ca.size();
        };
        return fill_page(std::move(*page), bytes_of,
                         [&](const Connection& last) { return token_after(last, filter); });
    });
}

Result<Connection> Connections::get(const Scope& scope, const std::string& id) {
    return store_.read([&] { return find(scope, id); });
}

Result<Connection> Connections::update(const Connection& wanted, const Seal& seal) {
    return store_.write([&]() -> Result<Connection> {
        auto before = find(wanted.tenant_id, wanted.id);
        if (!before) return before;
        // What is wanted was made of that revision: another's change since would be undone.
        Cause cause = store_.cause_;
        if (!cause.expected) cause.expected = wanted.revision;
        if (auto match = check_match(cause, before->revision); !match) return failed(match.error());
        Connection after = wanted;
        after.network_id = before->network_id;
        after.local_identity = before->local_identity;
        after.auth = before->auth;
        after.created_at = before->created_at;
        after.secret_revision = before->secret_revision + (seal ? 1 : 0);
        after.revision = before->revision;
        if (auto good = check(after); !good) return failed(good.error());
        auto revision = note(after, EventKind::ObjectChanged, public_text(*before));
        if (!revision) return failed(revision.error());
        after.revision = *revision;
        Statement row = store_.db_.sql(
            "UPDATE ipsec_connections SET name = ?, remote_addresses = ?, remote_identity = ?, "
            "remote_ca = ?, local_subnets = ?, remote_subnets = ?, ike_proposals = ?, "
            "esp_proposals = ?, start_action = ?, dpd_seconds = ?, rekey_seconds = ?, enabled = ?, "
            "secret_revision = ?, revision = ? WHERE tenant_id = ? AND id = ?");
        bind_changeable(row, after);
        row.bind(after.revision).bind(after.tenant_id).bind(after.id);
        if (auto done = row.run(); !done) return failed(done.error());
        if (auto put = put_secret(after, seal); !put) return failed(put.error());
        store_.note_after(after);
        if (routes_of(*before) != routes_of(after))
            if (auto told = settle({after.tenant_id, after.network_id}); !told)
                return failed(told.error());
        return after;
    });
}

Result<Revision> Connections::remove(const Key& key) {
    return store_.write([&]() -> Result<Revision> {
        auto gone = find(key.tenant_id, key.id);
        if (!gone) return failed(gone.error());
        if (auto match = check_match(store_.cause_, gone->revision); !match)
            return failed(match.error());
        auto revision = note(*gone, EventKind::ObjectDeleted, public_text(*gone));
        if (!revision) return revision;
        auto done = store_.db_
                        .sql("DELETE FROM ipsec_connections WHERE tenant_id = ? AND id = ?",
                             key.tenant_id, key.id)
                        .run();
        if (!done) return failed(done.error());
        if (gone->enabled)
            if (auto told = settle({gone->tenant_id, gone->network_id}); !told)
                return failed(told.error());
        return revision;
    });
}

Result<std::vector<SealedSecret>> Connections::secrets_of(const Key& node) {
    return store_.read([&]() -> Result<std::vector<SealedSecret>> {
        Statement rows = store_.db_.sql(
            "SELECT c.id, c.secret_revision, c.secret FROM memberships m JOIN ipsec_connections c "
            "ON c.tenant_id = m.tenant_id AND c.network_id = m.network_id AND c.enabled = 1 AND "
            "c.secret <> '' JOIN nodes n ON n.tenant_id = m.tenant_id AND n.id = m.node_id AND "
            "n.state = ? WHERE m.tenant_id = ? AND m.node_id = ? AND m.gateway = 1 ORDER BY c.id",
            model::NodeState::Active, node.tenant_id, node.id);
        std::vector<SealedSecret> all;
        while (rows.next()) all.push_back({rows.text(0), rows.integer(1), rows.text(2)});
        if (rows.error()) return failed(*rows.error());
        return all;
    });
}

}  // namespace cvlan::store
