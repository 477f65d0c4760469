// SPDX-License-Identifier: Apache-2.0
#include "api/auth.h"

#include "api/error.h"
#include "base/bytes.h"
#include "base/log.h"
#include "pki/certificate.h"

namespace cvlan::api {

namespace {
constexpr size_t kKeptIdentities = 50'000;
}

Auth::Auth(store::Store& store, std::string trust_domain, const Clock& clock)
    : store_(store), trust_domain_(std::move(trust_domain)), clock_(clock) {}

// NotFound alone says that there is no such node.
Result<const Auth::Row*> Auth::row_of(const NodeIdentity& identity) {
    const auto known = rows_.find(identity.node_id);
    if (known != rows_.end()) {
        if (known->second.tenant_id == identity.tenant_id) return &known->second;
        return fail(Code::NotFound, "no such node in this tenant");
    }
    auto standing = store_.standing(identity.key());
    if (!standing) return failed(standing.error());
    Row row{std::move(*standing), identity.tenant_id};
    return &rows_.insert_or_assign(identity.node_id, std::move(row)).first->second;
}

void Auth::forget_tenant(const std::string& tenant_id) {
    std::erase_if(rows_, [&](const auto& row) { return row.second.tenant_id == tenant_id; });
}

bool Auth::Row::is_current(const NodeIdentity& identity) const {
    return identity.serial == serial && identity.key_hash == key_hash;
}

bool Auth::Row::is_previous(const NodeIdentity& identity) const {
    return !previous_serial.empty() && identity.serial == previous_serial &&
           identity.key_hash == previous_key_hash;
}

std::optional<http::Response> Auth::standing(const NodeIdentity& identity,
                                             std::string_view request_id) {
    const auto found = row_of(identity);
    if (!found && found.error().code == Code::NotFound)
        return refusal(403, "NODE_DELETED", "this controller has no such node any more",
                       request_id);
    if (!found) {
        // Whatever ails the database, it says nothing about the node: that one is to come again.
        log::error("api.node_unreadable", {{"node", identity.node_id},
                                           {"request", request_id},
                                           {"reason", found.error().message}});
        return error_response({Code::Unavailable, "the controller can not read its database now"},
                              request_id);
    }
    const Row* row = *found;
    if (row->state == model::NodeState::Revoked)
        return refusal(403, "NODE_REVOKED", "this node was revoked: its keys are barred for good",
                       request_id);
    if (row->state == model::NodeState::Expired)
        return refusal(403, "NODE_EXPIRED",
                       "this node has expired: enrol it again with a new token", request_id);
    if (!row->is_current(identity) && !row->is_previous(identity))
        return refusal(403, "CERTIFICATE_SUPERSEDED",
                       "this certificate was replaced by a newer one", request_id);
    // The node is what it was: its tunnels stay up.
    if (row->is_suspended)
        return refusal(403, store::kTenantSuspended, "the tenant of this node is suspended",
                       request_id);
    // TLS looks at the handshake alone; a connection may outlive its certificate.
    if (clock_.now() >= identity.not_after)
        return refusal(403, "CERTIFICATE_EXPIRED",
                       "this certificate has run out: enrol again with a new token", request_id);
    return std::nullopt;
}

void Auth::note_use(const NodeIdentity& identity) {
    const std::lock_guard lock(seen_mutex_);
    seen_.try_emplace(identity.node_id, store::Seen{identity.key(), {}}).first->second.at =
        clock_.now();
}

std::optional<Auth::FirstUse> Auth::first_use(const NodeIdentity& identity) {
    const Row& row = rows_.at(identity.node_id);
    if (!row.is_current(identity) || (row.was_seen && row.previous_serial.empty()))
        return std::nullopt;
    return FirstUse{identity.key(), row.previous_serial.empty() ? "" : identity.serial,
                    !row.was_seen};
}

void Auth::write(const FirstUse& use) {
    if (!use.confirmed.empty())
        if (auto done = store_.confirm_certificate(use.node, use.confirmed); !done)
            log::warn("api.certificate_not_confirmed",
                      {{"node", use.node.id}, {"reason", done.error().message}});
    if (!use.is_seen) return;
    if (auto seen = store_.touch_seen(use.node); !seen)
        log::warn("api.last_seen_not_written", {{"nodes", 1}, {"reason", seen.error().message}});
}

void Auth::flush_seen() {
    std::unordered_map<std::string, store::Seen> seen;
    {
        const std::lock_guard lock(seen_mutex_);
        seen.swap(seen_);
    }
    if (seen.empty()) return;
    std::vector<store::Seen> nodes;
    for (const auto& [id, one] : seen) nodes.push_back(one);
    const auto written = store_.set_seen(nodes);
    if (written) return;
    // Only a display: a failure here must not keep a node from its map. They are kept for the next
    // time, but for those who were here since.
    log::warn("api.last_seen_not_written",
              {{"nodes", nodes.size()}, {"reason", written.error().message}});
    const std::lock_guard lock(seen_mutex_);
    seen_.merge(seen);
}

Verdict<Identity> Auth::node(const http::Request& request) {
    if (!request.client_certificate)
        return refusal(401, "CLIENT_CERTIFICATE_REQUIRED",
                       "this needs the client certificate of an enrolled node", request.request_id);
    auto identity = identity_of(request);
    if (!identity)
        return refusal(403, "CERTIFICATE_REFUSED", identity.error().message, request.request_id);
    if (auto refused = standing(**identity, request.request_id)) return *refused;
    note_use(**identity);
    return std::move(*identity);
}

// Reading a certificate takes longer than all else about a poll: what was read is kept, by the hash
// of its bytes. That TLS found it good, and how its node stands, is another matter, each time.
Result<Identity> Auth::identity_of(const http::Request& request) const {
    const std::string& hash = request.client_certificate.fingerprint();
    const std::lock_guard lock(read_mutex_);
    if (const auto known = read_.find(hash); known != read_.end()) return known->second;
    auto certificate = pki::parse_node_certificate(request.client_certificate.get(), trust_domain_);
    if (!certificate) return failed(certificate.error());
    if (read_.size() >= kKeptIdentities) read_.clear();
    auto identity = std::make_shared<const NodeIdentity>(
        NodeIdentity{certificate->tenant_id, certificate->node_id, certificate->serial,
                     certificate->key_hash, certificate->not_after});
    return read_.emplace(hash, std::move(identity)).first->second;
}

Identity Auth::shown(const http::Request& request) const {
    if (!request.client_certificate) return nullptr;
    auto identity = identity_of(request);
    return identity ? std::move(*identity) : nullptr;
}

}  // namespace cvlan::api
