// SPDX-License-Identifier: Apache-2.0
#pragma once

// What the controller remembers: verbs of the domain, each one transaction together with its event
// row. A write returns when it is on disk. Every method may be called from any thread; a listener
// is called after the commit, in the order of the revisions, on the thread that wrote, and may read
// the store.
//
// Codes: NotFound for an object that is absent or of another tenant; Exists for a name or key that
// is taken; Conflict for what the present state forbids; Invalid for an input; Denied and Gone for
// tokens, with the reason of model/token_claims.h, and Denied KEY_BARRED for the keys of a revoked
// node; Unavailable when the database is locked or full. Conflict REVISION_MISMATCH where the cause
// expects another revision of what is changed, Conflict QUOTA_EXCEEDED, Denied TENANT_SUSPENDED.

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/metrics.h"
#include "model/objects.h"
#include "model/token_claims.h"
#include "store/accounts.h"
#include "store/audit.h"
#include "store/connections.h"
#include "store/health.h"
#include "store/idempotency.h"
#include "store/jobs.h"
#include "store/objects.h"
#include "store/policies.h"
#include "store/types.h"
#include "store/upkeep.h"
#include "store/webhooks.h"

namespace cvlan::store {

class Store {
public:
    virtual ~Store() = default;
    // The same store for one who acts: what is changed by it is noted as changed by them. It must
    // not outlive this one, and is cheap: one a request.
    virtual std::unique_ptr<Store> as(const Cause& cause) = 0;
    // The same store for one who holds a job's lease: it writes only while that lease stands
    // (Conflict LEASE_LOST), and each write prolongs it.
    virtual std::unique_ptr<Store> under(const Lease& lease) = 0;
    // Valid as long as the store.
    virtual Jobs jobs() = 0;
    virtual Upkeep upkeep() = 0;
    virtual Webhooks webhooks() = 0;
    virtual Connections connections() = 0;
    virtual void on_event(std::function<void(const Event&)> listener) = 0;
    // Changes at a restore: maps of another epoch are void.
    virtual int64_t epoch() = 0;
    // Transactions that changed something, since the start: each waited for the disk.
    virtual uint64_t commits() = 0;
    // How long they took.
    virtual const metrics::Histogram& write_seconds() = 0;
    virtual Result<Counts> counts() = 0;

    // Families of verbs with an interface of their own; as valid as this one, and of the same view.
    virtual Objects& objects() = 0;
    virtual Policies& policies() = 0;
    // Users, service accounts, and what they prove themselves by.
    virtual Accounts accounts() = 0;
    virtual Idempotency idempotency() = 0;
    // By which path nodes reach each other.
    virtual Health health() = 0;

    virtual Result<model::Tenant> create_tenant(const NewTenant& tenant) = 0;
    virtual Result<Page<model::Tenant>> tenants(const Filter& filter) = 0;
    virtual Result<model::Tenant> tenant(const std::string& id) = 0;
    virtual Result<model::Tenant> update_tenant(const std::string& id,
                                                const TenantChange& change) = 0;
    virtual Result<Revision> delete_tenant(const std::string& id) = 0;
    virtual Result<Usage> usage(const std::string& tenant_id) = 0;

    virtual Result<model::Network> create_network(const NewNetwork& network) = 0;
    virtual Result<Page<model::Network>> networks(const Filter& filter) = 0;
    virtual Result<model::Network> network(const Scope& scope, const std::string& id) = 0;
    virtual Result<model::Network> change_network(const Key& network,
                                                  const NetworkChange& change) = 0;
    // Of a network those nodes whose memberships this revision of the tenant changed.
    virtual Result<std::vector<MapMember>> members_changed(const Key& network,
                                                           Revision revision) = 0;
    virtual Result<Revision> delete_network(const Key& network) = 0;

    // The id, the tenant and the expiry are the signed claims' own.
    virtual Result<model::Token> create_token(
        const model::TokenClaims& claims,
        const std::optional<std::chrono::milliseconds>& ephemeral_after) = 0;
    virtual Result<Page<model::Token>> tokens(const Filter& filter) = 0;
    virtual Result<model::Token> token(const Scope& scope, const std::string& id) = 0;
    virtual Result<model::Token> revoke_token(const Key& token) = 0;
    // Conflict for one that was made offline and has not expired.
    virtual Result<Revision> delete_token(const Key& token) = 0;

    // Keys that make tokens offline: a token of such a key gets its row when it is first used. `id`
    // and `created_at` are the store's to give. With the key end its tokens.
    virtual Result<model::TokenKey> create_token_key(const model::TokenKey& key) = 0;
    virtual Result<Page<model::TokenKey>> token_keys(const Filter& filter) = 0;
    virtual Result<model::TokenKey> token_key(const Scope& scope, const std::string& id) = 0;
    virtual Result<model::TokenKey> token_key_of(const std::string& tenant_id,
                                                 const std::string& kid) = 0;
    virtual Result<Revision> delete_token_key(const Key& key) = 0;

    // Checks and spends the token, gives addresses, makes the node and stores its certificate, in
    // one transaction: two racing agents get one success. A node which comes back with a TLS key it
    // has keeps id and addresses. A repeat of an enrolment whose answer was lost spends nothing.
    virtual Result<Enrolled> enrol(const Enrolment& request, const IssueCertificate& issue) = 0;
    // A further network for a node that exists, by a token of its tenant.
    virtual Result<Enrolled> join(const std::string& node_id, const Joining& request) = 0;

    virtual Result<Page<model::Node>> nodes(const Filter& filter) = 0;
    virtual Result<model::Node> node(const Scope& scope, const std::string& id) = 0;
    virtual Result<Standing> standing(const Key& node) = 0;  // in one query
    virtual Result<model::Node> create_external(const NewExternal& node) = 0;
    virtual Result<model::Node> update_node(const Key& node, const NodeChange& change) = 0;
    virtual Result<model::Node> approve_node(const Key& node) = 0;
    virtual Result<model::Node> expire_node(const Key& node) = 0;
    virtual Result<model::Node> revoke_node(const Key& node) = 0;
    virtual Result<Revision> delete_node(const Key& node) = 0;
    // Deletes ephemeral nodes that were away for too long, at most 20, and answers which. None can
    // be seen while no controller is up: what it was away before `up_since` does not count.
    virtual Result<std::vector<Key>> delete_idle_nodes(WallTime up_since) = 0;
    // Nodes whose key has run out by now expire, at most 20. Answers which.
    virtual Result<std::vector<Key>> expire_due_keys() = 0;

    // The certificate that the node showed with `used_serial` stays good until confirm_certificate.
    // Invalid for a key that the node has used already.
    virtual Result<model::Node> renew_certificate(const Key& node, const Renewal& renewal) = 0;
    // The node has used `serial`: where that is the current one, the previous is void from now on.
    virtual Result<void> confirm_certificate(const Key& node, const std::string& serial) = 0;
    // The node is there for the first time since it enrolled: from now on a repeat of its enrolment
    // is a replay. Writes nothing where it was seen before.
    virtual Result<void> touch_seen(const Key& node) = 0;
    // When nodes were there last, all in one transaction; skips those that touch_seen has not had.
    virtual Result<void> set_seen(const std::vector<Seen>& nodes) = 0;
    // No value: nothing changed, and there is no event.
    virtual Result<std::optional<Revision>> set_endpoints(const Key& node,
                                                          const NodeEndpoints& endpoints) = 0;
    // Writes nothing where nothing changed; never an event.
    virtual Result<void> set_inventory(const Key& node, const model::Inventory& inventory) = 0;

    // Every change above is in the audit, written with it: where that fails, so does the change
    // (Unavailable AUDIT_UNAVAILABLE). Only where a node says that it can be reached is none: ten
    // thousand that roam would bury what people did. It is an event like any other.
    // Refused attempts are written here, all in one transaction.
    virtual Result<void> record_refusals(const std::vector<Refusal>& refusals) = 0;
    virtual Result<AuditPage> audit(const AuditFilter& filter) = 0;
    // A tenant's chain; for the operator every one, its own and those of tenants that are gone too.
    virtual Result<std::vector<AuditVerdict>> verify_audit(const Scope& scope) = 0;
    // Takes away what is older than `before`, at most some thousands, and tells how many; leaves an
    // entry that says where the chain goes on.
    virtual Result<int64_t> prune_audit(const std::string& tenant_id, WallTime before) = 0;

    virtual Result<MapInputs> map_inputs(const std::string& tenant_id) = 0;
    // Oldest first, at most `limit`.
    virtual Result<std::vector<Event>> events_since(const std::string& tenant_id, Revision since,
                                                    int limit) = 0;
};

}  // namespace cvlan::store
