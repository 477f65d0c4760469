// SPDX-License-Identifier: Apache-2.0
#pragma once

// The Store on SQLite or PostgreSQL (open.h). The methods are in one file a noun: sql_tenants.cc, …
// Private ones run inside a body of read or write.

#include <memory>
#include <string>

#include "store/accounts.h"
#include "store/addresses.h"
#include "store/open.h"
#include "store/sql_base.h"
#include "store/sql_objects.h"
#include "store/sql_policies.h"
#include "store/store.h"

namespace cvlan::store {

class SqlStore final : public Store, protected SqlBase {
public:
    using SqlBase::SqlBase;

    std::unique_ptr<Store> as(const Cause& cause) override;
    std::unique_ptr<Store> under(const Lease& lease) override;
    Jobs jobs() override { return Jobs(*this); }
    Upkeep upkeep() override { return Upkeep(*this); }
    Webhooks webhooks() override { return Webhooks(*this); }
    Connections connections() override { return Connections(*this); }
    void on_event(std::function<void(const Event&)> listener) override {
        engine_.on_event(std::move(listener));
    }
    int64_t epoch() override { return engine_.epoch(); }
    uint64_t commits() override { return engine_.commits(); }
    const metrics::Histogram& write_seconds() override { return engine_.write_seconds(); }
    Result<Counts> counts() override;
    Accounts accounts() override { return Accounts(*this); }
    Idempotency idempotency() override { return Idempotency(*this); }
    Health health() override { return Health(*this); }
    Objects& objects() override { return objects_; }
    Policies& policies() override { return policies_; }

    Result<model::Tenant> create_tenant(const NewTenant& tenant) override;
    Result<Page<model::Tenant>> tenants(const Filter& filter) override;
    Result<model::Tenant> tenant(const std::string& id) override;
    Result<model::Tenant> update_tenant(const std::string& id, const TenantChange& change) override;
    Result<Revision> delete_tenant(const std::string& id) override;
    Result<Usage> usage(const std::string& tenant_id) override;

    Result<model::Network> create_network(const NewNetwork& network) override;
    Result<Page<model::Network>> networks(const Filter& filter) override;
    Result<model::Network> network(const Scope& scope, const std::string& id) override;
    Result<model::Network> change_network(const Key& network, const NetworkChange& change) override;
    Result<std::vector<MapMember>> members_changed(const Key& network, Revision revision) override;
    Result<Revision> delete_network(const Key& network) override;

    Result<model::Token> create_token(
        const model::TokenClaims& claims,
        const std::optional<std::chrono::milliseconds>& ephemeral_after) override;
    Result<Page<model::Token>> tokens(const Filter& filter) override;
    Result<model::Token> token(const Scope& scope, const std::string& id) override;
    Result<model::Token> revoke_token(const Key& token) override;
    Result<Revision> delete_token(const Key& token) override;

    Result<model::TokenKey> create_token_key(const model::TokenKey& key) override;
    Result<Page<model::TokenKey>> token_keys(const Filter& filter) override;
    Result<model::TokenKey> token_key(const Scope& scope, const std::string& id) override;
    Result<model::TokenKey> token_key_of(const std::string& tenant_id,
                                         const std::string& kid) override;
    Result<Revision> delete_token_key(const Key& key) override;

    Result<Enrolled> enrol(const Enrolment& request, const IssueCertificate& issue) override;
    Result<Enrolled> join(const std::string& node_id, const Joining& request) override;

    Result<Page<model::Node>> nodes(const Filter& filter) override;
    Result<model::Node> node(const Scope& scope, const std::string& id) override;
    Result<Standing> standing(const Key& node) override;
    Result<model::Node> create_external(const NewExternal& node) override;
    Result<model::Node> update_node(const Key& node, const NodeChange& change) override;
    Result<model::Node> approve_node(const Key& node) override;
    Result<model::Node> expire_node(const Key& node) override;
    Result<model::Node> revoke_node(const Key& node) override;
    Result<Revision> delete_node(const Key& node) override;
    Result<std::vector<Key>> delete_idle_nodes(WallTime up_since) override;
    Result<std::vector<Key>> expire_due_keys() override;
    Result<model::Node> renew_certificate(const Key& node, const Renewal& renewal) override;
    Result<void> confirm_certificate(const Key& node, const std::string& serial) override;
    Result<void> touch_seen(const Key& node) override;
    Result<void> set_seen(const std::vector<Seen>& nodes) override;
    Result<std::optional<Revision>> set_endpoints(const Key& node,
                                                  const NodeEndpoints& endpoints) override;
    Result<void> set_inventory(const Key& node, const model::Inventory& inventory) override;

    Result<void> record_refusals(const std::vector<Refusal>& refusals) override;
    Result<AuditPage> audit(const AuditFilter& filter) override;
    Result<std::vector<AuditVerdict>> verify_audit(const Scope& scope) override;
    Result<int64_t> prune_audit(const std::string& tenant_id, WallTime before) override;

    Addresses addresses() { return Addresses(*this); }

    Result<MapInputs> map_inputs(const std::string& tenant_id) override;
    Result<std::vector<Event>> events_since(const std::string& tenant_id, Revision since,
                                            int limit) override;

private:
    friend class Accounts;
    friend class Addresses;
    friend class Connections;
    friend class Health;
    friend class Idempotency;
    friend class Jobs;
    friend class Upkeep;
    friend class Webhooks;
    friend class SqlObjects;
    friend class SqlPolicies;
    enum class Quota { Networks, Nodes, Users, Tokens };
    struct Enrolling;  // one enrolment on its way through the transaction
    struct Place {     // a node's in a network
        std::optional<Address> ipv4{};
        std::optional<Address> ipv6{};
    };

    // Conflict QUOTA_EXCEEDED. After the insert, whose event has locked the tenant's row.
    Result<void> check_quota(const std::string& tenant_id, Quota quota);
    Result<void> check_quota(const model::Tenant& tenant, Quota quota);
    Result<model::Tenant> find_tenant(const std::string& id);
    Result<model::Tenant> check_not_suspended(const std::string& tenant_id);
    Result<model::Network> find_network(const Scope& scope, const std::string& id);
    Result<model::Token> find_token(const Scope& scope, const std::string& id);
    Result<model::Node> find_node(const Scope& scope, const std::string& id);
    Result<std::optional<model::Node>> find_row(const Scope& scope, const std::string& id);
    Result<void> load_parts(model::Node& node);
    Result<model::Node> change_node(const Key& node, EventKind kind, std::string before);
    Result<void> bar_keys(const model::Node& node);
    Result<Revision> remove_node(const model::Node& node);

    Result<model::TokenKey> find_token_key(const Scope& scope, const std::string& id);
    Result<model::TokenKey> find_token_key_of(const std::string& tenant_id, const std::string& kid);
    Result<model::Token> admit_offline(const model::TokenClaims& claims);
    Result<model::Token> check_token(const Joining& joining);
    Result<void> check_uses(const model::Token& token);
    Result<void> spend_token(const model::Token& token);
    Result<void> check_keys(const Joining& joining, const std::string& tls_key_hash);
    Result<void> check_wireguard_key(const Key& node, const Joining& joining);
    Result<bool> is_name_free(const std::string& tenant_id, const std::string& name);
    Result<std::string> choose_name(const Enrolment& request);
    Result<Enrolling> admit(const Enrolment& request);
    void ask_ahead_of(const Enrolment& request);
    Result<void> spend(Enrolling& enrolling, bool is_repeat, const IssueCertificate& issue);
    model::Node new_node(const Enrolling& enrolling, Revision revision);
    Result<void> insert_node(const model::Node& node, const Enrolling& enrolling);
    Result<void> renew_node(const Enrolling& enrolling);
    Result<void> put_inventory(const Key& node, const model::Inventory& inventory);
    Result<void> put_mac_addresses(const Key& node, const model::Inventory& inventory);
    Result<void> put_membership(const Key& node, const Joining& joining);
    Result<model::Network> network_to_join(const Joining& joining);
    static model::Membership membership_at(const Key& node, const Joining& joining,
                                           const model::Network& network, const Place& place);
    Result<void> insert_membership(const model::Membership& membership,
                                   const std::string& tenant_id);
    Result<bool> repeats(const Enrolling& enrolling);
    Result<std::string> name_of_known(const Enrolling& enrolling);
    Result<Enrolled> store_new(Enrolling& enrolling, model::Network network,
                               const IssueCertificate& issue);
    Result<Enrolled> store_known(const Enrolling& enrolling);
    Result<model::Node> change_certificate(const Key& node, std::string before);
    Result<Enrolled> finish(const model::Node& node, const Joining& joining, Revision revision);

    Result<std::vector<Address>> allocate_released(const model::Network& network, Family family,
                                                   size_t count);
    // What a network has to give: the lowest address that was never given, and whether some came
    // back.
    struct Pool {
        std::optional<Address> next{};
        bool has_released = false;
    };
    struct Pools {
        Pool ipv4{}, ipv6{};
    };
    Result<Pools> find_pools(const Key& network);
    Result<Place> allocate_place(const model::Network& network, Pools pools);
    Result<std::vector<Address>> allocate_fresh(const model::Network& network, Family family,
                                                std::optional<Address> next, size_t count);
    Result<void> release(const Key& node);
    Result<std::vector<Address>> allocate_many(const model::Network& network, Family family,
                                               size_t count);
    Error exhausted(const model::Network& network, Family family);
    Result<void> quarantine(const Key& network, const Address& address);
    Result<void> reserve_in(const std::vector<Reservation*>& callers);
    Result<void> keep_reserved(const std::vector<Reservation*>& reserved);

    SqlObjects objects_{*this};
    SqlPolicies policies_{*this};
};

}  // namespace cvlan::store
