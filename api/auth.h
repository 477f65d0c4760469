// SPDX-License-Identifier: Apache-2.0
#pragma once

// Which node asks. The one place that turns a connection into a node's identity: from the
// certificate that TLS verified, checked against the node's row at each request. Never from a
// header or a body. A handler can not be called without the identity it names in its type; who
// administers is established in auth_admin.h. Belongs to the session's loop, but for shown(),
// write() and flush_seen().

#include <mutex>
#include <string>
#include <unordered_map>
#include <variant>

#include "base/clock.h"
#include "http/message.h"
#include "model/objects.h"
#include "store/store.h"

namespace cvlan::api {

struct NodeIdentity {
    std::string tenant_id;
    std::string node_id;
    std::string serial;    // of the certificate in use
    std::string key_hash;  // its key's, as store::Renewal's
    WallTime not_after{};  // its end

    store::Key key() const { return {tenant_id, node_id}; }
};

// Shared by all requests that show one certificate, and what is held of them.
using Identity = std::shared_ptr<const NodeIdentity>;

template <class T>
using Verdict = std::variant<http::Response, T>;  // the zero value denies

class Auth {
public:
    Auth(store::Store& store, std::string trust_domain, const Clock& clock);

    // 401 without a certificate; 403 NODE_EXPIRED, NODE_REVOKED, NODE_DELETED,
    // CERTIFICATE_SUPERSEDED, CERTIFICATE_EXPIRED; 503 while the database can not be read.
    Verdict<Identity> node(const http::Request& request);

    // What is to be durable before the first request is answered by which the node uses what it was
    // given: from then on its enrolment can not be repeated, or its former certificate is void.
    struct FirstUse {
        store::Key node;
        std::string confirmed{};  // the serial that is the only one from now on
        bool is_seen = false;     // since it enrolled
    };
    std::optional<FirstUse> first_use(const NodeIdentity& identity);
    // Waits for the disk; forget() the node after it. What fails is tried at its next request.
    void write(const FirstUse& use);

    // Whom the certificate names, however it stands with that one; for the audit of refusals.
    Identity shown(const http::Request& request) const;  // null where there is none

    // The node's row changed: the next request reads it anew. Or the tenant's: each of its nodes'.
    void forget(const std::string& node_id) { rows_.erase(node_id); }
    void forget_tenant(const std::string& tenant_id);
    // What a node hears that is not (or no longer) welcome; nullopt while it is.
    std::optional<http::Response> standing(const NodeIdentity& identity,
                                           std::string_view request_id);

    // When nodes were last here is kept in memory, so that a poll costs no write; this writes it,
    // in one transaction. To be called every kSeenEvery and at the end.
    void flush_seen();
    static constexpr std::chrono::seconds kSeenEvery{60};

private:
    struct Row : store::Standing {
        std::string tenant_id;

        bool is_current(const NodeIdentity& identity) const;
        bool is_previous(const NodeIdentity& identity) const;
    };
    Result<Identity> identity_of(const http::Request& request) const;
    Result<const Row*> row_of(const NodeIdentity& identity);
    void note_use(const NodeIdentity& identity);

    store::Store& store_;
    std::string trust_domain_;
    const Clock& clock_;
    mutable std::mutex read_mutex_;
    mutable std::unordered_map<std::string, Identity> read_;  // by SHA-256 of the certificate
    std::unordered_map<std::string, Row> rows_;               // by node id
    std::mutex seen_mutex_;
    std::unordered_map<std::string, store::Seen> seen_;  // likewise; not written yet
};

}  // namespace cvlan::api
