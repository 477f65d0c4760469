// SPDX-License-Identifier: Apache-2.0
// How a node comes in: the token is checked and spent in the transaction that makes the node.
#include <set>

#include "store/sql_rows.h"
#include "store/sql_store.h"

namespace cvlan::store {

namespace {

// The host's name up to its first dot, made a label.
std::string label_of(std::string_view hostname) {
    std::string label;
    for (char c : hostname.substr(0, hostname.find('.'))) {
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
        const bool is_good = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
        // 50 leaves room for a number behind it.
        if (label.size() < 50 && (is_good || !label.ends_with('-'))) label += is_good ? c : '-';
    }
    while (label.starts_with('-')) label.erase(0, 1);
    while (label.ends_with('-')) label.pop_back();
    return label.empty() ? "node" : label;
}

// The one it asks for, or one made of its host's.
std::string name_asked(const Enrolment& request) {
    return request.name.empty() ? label_of(request.inventory.hostname) : request.name;
}

bool is_in(model::NodeState state) {
    return state == model::NodeState::Active || state == model::NodeState::Pending;
}

std::optional<int64_t> count_of(const std::optional<std::chrono::milliseconds>& span) {
    return span ? std::optional<int64_t>(span->count()) : std::nullopt;
}

bool is_relay(const model::TokenClaims& token) { return token.role == model::TokenRole::Relay; }

const model::Membership* membership_in(const model::Node& node, const std::string& network_id) {
    for (const model::Membership& membership : node.memberships)
        if (membership.network_id == network_id) return &membership;
    return nullptr;
}

}  // namespace

struct SqlStore::Enrolling {
    Key node;
    const Enrolment& request;
    model::Token token;
    model::Tenant tenant;
    model::Settings settings;
    bool is_new = true;
    std::string name{};
    CertificateRow certificate{};
};

// All that a new node's enrolment asks before it changes anything.
void SqlStore::ask_ahead_of(const Enrolment& request) {
    const Joining& joining = request.joining;
    const model::TokenClaims& claims = joining.token;
    db_.ask_ahead([&] {
        (void)find_token(claims.tenant_id, claims.id);
        (void)find_tenant(claims.tenant_id);
        (void)check_keys(joining, request.tls_key_hash);
        (void)find_settings(db_, claims.tenant_id);
        (void)node_of_tls_key(db_, claims.tenant_id, request.tls_key_hash);
        (void)is_name_free(claims.tenant_id, name_asked(request));
        (void)check_wireguard_key({}, joining);
        (void)find_network(claims.tenant_id, claims.network_id);
        (void)find_pools({claims.tenant_id, claims.network_id});
        (void)revision_of(claims.tenant_id);
        (void)end_of_chain(claims.tenant_id);
    });
}

Result<void> SqlStore::check_keys(const Joining& joining, const std::string& tls_key_hash) {
    auto barred = is_barred(db_, BarredKind::Wireguard, wireguard_key_hash(joining.wireguard_key));
    if (barred && !*barred && !tls_key_hash.empty())
        barred = is_barred(db_, BarredKind::Tls, tls_key_hash);
    if (!barred) return failed(barred.error());
    if (*barred) return fail_as("KEY_BARRED", Code::Denied, "key is barred: its node was revoked");
    return {};
}

// A key belongs to one node in one network, in all tenants. Who has it is not said.
Result<void> SqlStore::check_wireguard_key(const Key& node, const Joining& joining) {
    Statement row =
        db_.sql("SELECT tenant_id, node_id, network_id FROM memberships WHERE wireguard_key = ?",
                joining.wireguard_key);
    const bool is_used = row.next();
    if (row.error()) return failed(*row.error());
    const bool is_its_own = is_used && row.text(0) == node.tenant_id && row.text(1) == node.id &&
                            row.text(2) == joining.token.network_id;
    if (is_used && !is_its_own) return fail(Code::Exists, "the WireGuard key is already in use");
    return {};
}

Result<std::string> SqlStore::choose_name(const Enrolment& request) {
    const std::string& tenant_id = request.joining.token.tenant_id;
    const bool is_asked = !request.name.empty();
    const std::string wanted = name_asked(request);
    if (auto good = model::check_name("name", wanted); !good) return failed(good.error());
    // Many hosts are called localhost: after a few numbers, chance finds a free name sooner.
    std::string name = wanted;
    for (int number = 2;; ++number) {
        auto is_free = is_name_free(tenant_id, name);
        if (!is_free) return failed(is_free.error());
        if (*is_free) return name;
        if (is_asked) return fail(Code::Exists, "node name '{}' is taken", name);
        name = fmt::format("{}-{}", wanted,
                           number < 10 ? std::to_string(number) : hex(random_bytes(4)));
    }
}

// `node` without what other tables hold.
Result<void> SqlStore::insert_node(const model::Node& node, const Enrolling& enrolling) {
    const model::Inventory& inventory = node.inventory;
    return db_
        .sql(
            "INSERT INTO nodes (tenant_id, id, name, state, role, certificate_serial, "
            "tls_key_hash, certificate_expires_at, enrolled_with, created_at, enrolled_at, "
            "revision, came_in_at, approved, ephemeral_ms, key_expires_at, owner, hostname, os, "
            "kernel, architecture, agent_version) "
            "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?10, ?11, ?11, ?12, ?13, ?14, ?15, "
            "?16, ?17, ?18, ?19, ?20)",
            node.tenant_id, node.id, node.name, node.state, node.role, node.certificate_serial,
            node.tls_key_hash, node.certificate_expires_at, enrolling.token.id, node.created_at,
            node.revision, node.state == model::NodeState::Active, count_of(node.ephemeral_after),
            node.key_expires_at, node.owner, inventory.hostname, inventory.os, inventory.kernel,
            inventory.architecture, inventory.agent_version)
        .run();
}

// A node that comes back. While it was in, the certificate it has stays good until it uses this
// one: the one of the key that it came with, and where that key has two, the one that was used.
Result<void> SqlStore::renew_node(const Enrolling& enrolling) {
    const model::Token& token = enrolling.token;
    const WallTime now = clock_.now();
    return db_
        .sql(
            "UPDATE nodes SET name = ?1, role = ?2, previous_serial = CASE WHEN state NOT IN (0, "
            "3) THEN '' WHEN previous_tls_key_hash = ?4 THEN previous_serial ELSE "
            "certificate_serial END, previous_tls_key_hash = CASE WHEN state IN (0, 3) THEN ?4 "
            "ELSE '' END, state = CASE approved WHEN 0 THEN 3 ELSE 0 END, "
            "certificate_serial = ?3, tls_key_hash = ?4, certificate_expires_at = ?5, "
            "enrolled_with = ?6, last_seen_at = NULL, ephemeral_ms = ?7, key_expires_at = ?8, "
            "owner = ?9, enrolled_at = ?10 WHERE tenant_id = ?11 AND id = ?12",
            enrolling.name, token.role, enrolling.certificate.serial,
            enrolling.request.tls_key_hash, enrolling.certificate.expires_at, token.id,
            count_of(token.ephemeral_after), key_end(enrolling.settings, now), token.owner, now,
            enrolling.node.tenant_id, enrolling.node.id)
        .run();
}

// Gives the node its place in the token's network, or a new key in the place it has.
Result<void> SqlStore::put_membership(const Key& node, const Joining& joining) {
    if (auto good = check_wireguard_key(node, joining); !good) return good;
    auto network = find_network(node.tenant_id, joining.token.network_id);
    if (!network) return failed(network.error());
    auto endpoints = joining.endpoints;
    model::leave_out_overlay(endpoints, *network);
    auto kept = db_.sql(
                       "UPDATE memberships SET wireguard_key = ?, listen_port = ?, endpoints = ? "
                       "WHERE tenant_id = ? AND network_id = ? AND node_id = ?",
                       joining.wireguard_key, joining.listen_port, endpoints_text(endpoints),
                       node.tenant_id, network->id, node.id)
                    .run();
    if (!kept || db_.changes() > 0) return kept;
    auto pools = find_pools({network->tenant_id, network->id});
    if (!pools) return failed(pools.error());
    auto place = allocate_place(*network, std::move(*pools));
    if (!place) return failed(place.error());
    return insert_membership(membership_at(node, joining, *network, *place), node.tenant_id);
}

// Where the token leads to; of a relay nowhere.
Result<model::Network> SqlStore::network_to_join(const Joining& joining) {
    if (is_relay(joining.token)) return model::Network{};
    auto network = find_network(joining.token.tenant_id, joining.token.network_id);
    if (!network && network.error().code == Code::NotFound)
        return fail_as(model::kTokenRevoked, Code::Gone, "token was revoked: its network is gone");
    return network;
}

model::Membership SqlStore::membership_at(const Key& node, const Joining& joining,
                                          const model::Network& network, const Place& place) {
    model::Membership membership;
    membership.network_id = network.id;
    membership.network_name = network.name;
    membership.node_id = node.id;
    membership.wireguard_key = joining.wireguard_key;
    membership.ipv4 = place.ipv4;
    membership.ipv6 = place.ipv6;
    membership.listen_port = joining.listen_port;
    membership.endpoints = joining.endpoints;
    model::leave_out_overlay(membership.endpoints, network);
    return membership;
}

Result<void> SqlStore::insert_membership(const model::Membership& membership,
                                         const std::string& tenant_id) {
    return db_
        .sql(
            "INSERT INTO memberships (tenant_id, network_id, node_id, wireguard_key, ipv4, ipv6, "
            "listen_port, endpoints, revision) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            tenant_id, membership.network_id, membership.node_id, membership.wireguard_key,
            membership.ipv4, membership.ipv6, membership.listen_port,
            endpoints_text(membership.endpoints), membership.revision)
        .run();
}

// `node` as it is in the database now.
Result<Enrolled> SqlStore::finish(const model::Node& node, const Joining& joining,
                                  Revision revision) {
    if (is_relay(joining.token)) return Enrolled{node, {}, {}, revision, false};
    auto network = find_network(node.tenant_id, joining.token.network_id);
    if (!network) return failed(network.error());
    const model::Membership* membership = membership_in(node, network->id);
    if (!membership) return fail(Code::Internal, "a membership is missing");
    return Enrolled{node, std::move(*network), *membership, revision, false};
}

// Whether it may come in, and as whom. Changes nothing, but for a token that was made offline.
Result<SqlStore::Enrolling> SqlStore::admit(const Enrolment& request) {
    const Joining& joining = request.joining;
    const std::string& tenant_id = joining.token.tenant_id;
    auto token = check_token(joining);
    if (!token) return failed(token.error());
    auto tenant = check_not_suspended(tenant_id);
    if (!tenant) return failed(tenant.error());
    if (auto good = check_keys(joining, request.tls_key_hash); !good) return failed(good.error());
    auto settings = find_settings(db_, tenant_id);
    if (!settings) return failed(settings.error());
    auto known = node_of_tls_key(db_, tenant_id, request.tls_key_hash);
    if (!known) return failed(known.error());
    const bool is_new = !*known;
    return Enrolling{is_new ? Key{tenant_id, new_uuid(unix_ms(clock_.now()))} : **known,
                     request,
                     std::move(*token),
                     std::move(*tenant),
                     std::move(*settings),
                     is_new};
}

Result<Enrolled> SqlStore::enrol(const Enrolment& request, const IssueCertificate& issue) {
    const Joining& joining = request.joining;
    return write([&]() -> Result<Enrolled> {
        ask_ahead_of(request);
        auto network = network_to_join(joining);
        if (!network) return failed(network.error());
        auto enrolling = admit(request);
        if (!enrolling) return failed(enrolling.error());
        const bool is_new = enrolling->is_new;
        auto is_repeat = is_new ? Result<bool>(false) : repeats(*enrolling);
        if (!is_repeat) return failed(is_repeat.error());
        if (!*is_repeat)
            if (auto left = check_uses(enrolling->token); !left) return failed(left.error());
        auto name = is_new ? choose_name(request) : name_of_known(*enrolling);
        if (!name) return failed(name.error());
        enrolling->name = std::move(*name);
        if (auto good = check_wireguard_key(enrolling->node, joining); !good)
            return failed(good.error());
        // From here on it is written.
        if (is_new) return store_new(*enrolling, std::move(*network), issue);
        if (auto spent = spend(*enrolling, *is_repeat, issue); !spent) return failed(spent.error());
        return store_known(*enrolling);
    });
}

// The token is, unless it was for this very node, and the certificate is made.
Result<void> SqlStore::spend(Enrolling& enrolling, bool is_repeat, const IssueCertificate& issue) {
    if (!is_repeat)
        if (auto spent = spend_token(enrolling.token); !spent) return spent;
    auto certificate = issue(enrolling.node);
    if (!certificate) return failed(certificate.error());
    enrolling.certificate = std::move(*certificate);
    return {};
}

// The same node with the same token and keys, which never used what it was given: the answer was
// lost.
Result<bool> SqlStore::repeats(const Enrolling& enrolling) {
    const Joining& joining = enrolling.request.joining;
    Statement row = db_.sql(
        "SELECT 1 FROM nodes n WHERE n.tenant_id = ? AND n.id = ? AND n.state IN (0, 3) AND "
        "n.enrolled_with = ? AND n.last_seen_at IS NULL AND (n.role = 2 OR EXISTS (SELECT 1 FROM "
        "memberships m WHERE m.tenant_id = n.tenant_id AND m.node_id = n.id AND m.network_id = ? "
        "AND m.wireguard_key = ?))",
        enrolling.node.tenant_id, enrolling.node.id, joining.token.id, joining.token.network_id,
        joining.wireguard_key);
    const bool is_repeat = row.next();
    if (row.error()) return failed(*row.error());
    return is_repeat;
}

// A node that comes back keeps its name, unless it asks for another.
Result<std::string> SqlStore::name_of_known(const Enrolling& enrolling) {
    auto node = find_node(enrolling.node.tenant_id, enrolling.node.id);
    if (!node) return failed(node.error());
    if (enrolling.request.name.empty() || enrolling.request.name == node->name) return node->name;
    return choose_name(enrolling.request);
}

// As find_node reads it once it is stored; its places are not in it.
model::Node SqlStore::new_node(const Enrolling& enrolling, Revision revision) {
    const model::Token& token = enrolling.token;
    const bool is_approved = !enrolling.settings.device_approval;
    model::Node node;
    node.tenant_id = enrolling.node.tenant_id;
    node.id = enrolling.node.id;
    node.name = enrolling.name;
    node.state = is_approved ? model::NodeState::Active : model::NodeState::Pending;
    node.role = token.role;
    node.certificate_serial = enrolling.certificate.serial;
    node.tls_key_hash = enrolling.request.tls_key_hash;
    node.certificate_expires_at = enrolling.certificate.expires_at;
    node.inventory = enrolling.request.inventory;
    node.created_at = clock_.now();
    node.owner = token.owner;
    node.revision = revision;
    const auto& asked = enrolling.request.joining.token.tags;
    const std::set<std::string> tags(asked.begin(), asked.end());
    node.tags.assign(tags.begin(), tags.end());
    node.ephemeral_after = token.ephemeral_after;
    node.key_expires_at = key_end(enrolling.settings, node.created_at);
    return node;
}

Result<Enrolled> SqlStore::store_new(Enrolling& enrolling, model::Network network,
                                     const IssueCertificate& issue) {
    const Key& key = enrolling.node;
    const Joining& joining = enrolling.request.joining;
    const bool is_in_none = is_relay(joining.token);
    // What is asked ahead is taken before anything changes.
    auto pools = is_in_none ? Result<Pools>({}) : find_pools({network.tenant_id, network.id});
    if (!pools) return failed(pools.error());
    auto revision = record(key, EventKind::NodeEnrolled,
                           is_in_none ? std::vector<std::string>{} : std::vector{network.id});
    if (!revision) return failed(revision.error());
    auto place = is_in_none ? Result<Place>({}) : allocate_place(network, std::move(*pools));
    if (!place) return failed(place.error());
    if (auto spent = spend(enrolling, false, issue); !spent) return failed(spent.error());
    Enrolled enrolled{new_node(enrolling, *revision), {}, {}, *revision, true};
    model::Node& node = enrolled.node;
    auto stored = insert_node(node, enrolling);
    if (stored) stored = put_mac_addresses(key, node.inventory);
    if (stored && !node.tags.empty()) stored = put_tags(db_, key, node.tags);
    if (!stored) return failed(stored.error());
    if (!is_in_none) {
        enrolled.membership = membership_at(key, joining, network, *place);
        enrolled.membership.revision = *revision;
        stored = insert_membership(enrolled.membership, key.tenant_id);
        if (stored && !node.tags.empty())
            stored = settle_ipsec(db_, MembershipsOf::Node, key, *revision);
        if (!stored) return failed(stored.error());
        node.memberships.push_back(enrolled.membership);
        ++network.node_count;
        enrolled.network = std::move(network);
    }
    note_after(node);
    if (auto fits = check_quota(enrolling.tenant, Quota::Nodes); !fits) return failed(fits.error());
    return enrolled;
}

Result<Enrolled> SqlStore::store_known(const Enrolling& enrolling) {
    const Joining& joining = enrolling.request.joining;
    auto known = find_node(enrolling.node.tenant_id, enrolling.node.id);
    if (!known) return failed(known.error());
    // What a relay shows to nodes is no node's; what a node has in its networks, no relay has.
    if ((known->role == model::TokenRole::Relay) != is_relay(joining.token))
        return fail(Code::Conflict, "node '{}' enrolled in another role: delete it first",
                    known->name);
    auto stored = renew_node(enrolling);
    if (stored && !is_relay(joining.token)) stored = put_membership(enrolling.node, joining);
    if (stored) stored = put_inventory(enrolling.node, enrolling.request.inventory);
    // A node that comes back with a token without tags keeps those it has.
    if (stored && !joining.token.tags.empty())
        stored = put_tags(db_, enrolling.node, joining.token.tags);
    if (!stored) return failed(stored.error());
    auto node = change_node(enrolling.node, EventKind::NodeEnrolled, public_text(*known));
    if (!node) return failed(node.error());
    return finish(*node, joining, node->revision);
}

Result<Enrolled> SqlStore::join(const std::string& node_id, const Joining& joining) {
    const Key key{joining.token.tenant_id, node_id};
    return write([&]() -> Result<Enrolled> {
        if (auto there = network_to_join(joining); !there) return failed(there.error());
        auto token = check_token(joining);
        if (!token) return failed(token.error());
        if (auto good = check_not_suspended(key.tenant_id); !good) return failed(good.error());
        auto node = find_node(key.tenant_id, key.id);
        if (!node) return failed(node.error());
        if (!is_in(node->state)) return fail(Code::Denied, "the node must enrol again first");
        if (is_relay(joining.token) || node->role == model::TokenRole::Relay)
            return fail(Code::Conflict, "a relay is in no network");
        if (auto good = check_keys(joining, {}); !good) return failed(good.error());
        // The answer was lost, and the node asks again: it has what it asks for.
        const model::Membership* has = membership_in(*node, joining.token.network_id);
        if (has && has->wireguard_key == joining.wireguard_key)
            return finish(*node, joining, node->revision);

        if (auto left = check_uses(*token); !left) return failed(left.error());
        if (auto spent = spend_token(*token); !spent) return failed(spent.error());
        if (auto put = put_membership(key, joining); !put) return failed(put.error());
        auto revision =
            record(key, EventKind::NodeJoined, {joining.token.network_id}, public_text(*node));
        if (!revision) return failed(revision.error());
        auto marked = db_.sql(
                             "UPDATE memberships SET revision = ? WHERE tenant_id = ? AND "
                             "network_id = ? AND node_id = ?",
                             *revision, key.tenant_id, joining.token.network_id, key.id)
                          .run();
        if (marked)
            marked = db_.sql("UPDATE nodes SET came_in_at = ? WHERE tenant_id = ? AND id = ?",
                             *revision, key.tenant_id, key.id)
                         .run();
        if (marked && !node->tags.empty())
            marked = settle_ipsec(db_, MembershipsOf::Node, key, *revision);
        if (marked && node->role == model::TokenRole::Vrouter) marked = settle_gateway(db_, key);
        if (!marked) return failed(marked.error());
        node = find_node(key.tenant_id, key.id);
        if (!node) return failed(node.error());
        auto joined = finish(*node, joining, *revision);
        if (!joined) return joined;
        joined->is_new = !has;
        note_after(joined->node);
        return joined;
    });
}

}  // namespace cvlan::store
