// SPDX-License-Identifier: Apache-2.0
#pragma once

// The Store on one SQLite file. One connection, one writer: a second process that opens the file is
// refused. WAL with synchronous=FULL, so that what was answered survives a power cut. The methods
// are in one file a noun: sql_tenants.cc, … Private ones run inside a body of read or write.

#include <memory>
#include <string>

#include "model/to_wire.h"
#include "store/accounts.h"
#include "store/engine.h"
#include "store/open.h"
#include "store/store.h"

namespace cvlan::store {

// What the audit keeps of an object: its form on the wire, which holds no secret.
template <class T>
std::string public_text(const T& object) {
    return encode(model::to_wire(object));
}

class SqlStore final : public Store {
public:
    // The engine's owner; its changes are the system's own.
    explicit SqlStore(std::unique_ptr<Engine> engine)
        : owned_(std::move(engine)), engine_(*owned_) {}
    // A view of it.
    SqlStore(Engine& engine, Cause cause, std::optional<Lease> lease)
        : engine_(engine), cause_(std::move(cause)), lease_(std::move(lease)) {}

    std::unique_ptr<Store> as(const Cause& cause) override;
    std::unique_ptr<Store> under(const Lease& lease) override;
    Jobs jobs() override { return Jobs(*this); }
    Upkeep upkeep() override { return Upkeep(*this); }
    Webhooks webhooks() override { return Webhooks(*this); }
    void on_event(std::function<void(const Event&)> listener) override {
        engine_.on_event(std::move(listener));
    }
    int64_t epoch() override { return engine_.epoch(); }
    uint64_t commits() override { return engine_.commits(); }
    const metrics::Histogram& write_seconds() override { return engine_.write_seconds(); }
    Result<Counts> counts() override;
    Accounts accounts() override { return Accounts(*this); }

    Result<model::Tenant> create_tenant(const NewTenant& tenant) override;
    Result<Page<model::Tenant>> tenants(const Filter& filter) override;
    Result<model::Tenant> tenant(const std::string& id) override;
    Result<model::Tenant> rename_tenant(const std::string& id, const std::string& name) override;
    Result<Revision> delete_tenant(const std::string& id) override;

    Result<model::Network> create_network(const NewNetwork& network) override;
    Result<Page<model::Network>> networks(const Filter& filter) override;
    Result<model::Network> network(const Scope& scope, const std::string& id) override;
    Result<model::Network> rename_network(const Key& network, const std::string& name) override;
    Result<Revision> delete_network(const Key& network) override;

    Result<model::Token> create_token(const model::TokenClaims& claims) override;
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
    Result<model::Node> rename_node(const Key& node, const std::string& name) override;
    Result<model::Node> expire_node(const Key& node) override;
    Result<model::Node> revoke_node(const Key& node) override;
    Result<Revision> delete_node(const Key& node) override;
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

    Result<MapInputs> map_inputs(const std::string& tenant_id) override;
    Result<std::vector<Event>> events_since(const std::string& tenant_id, Revision since,
                                            int limit) override;

private:
    friend class Accounts;
    friend class Jobs;
    friend class Upkeep;
    friend class Webhooks;
    enum class BarredKind { Tls = 1, Wireguard = 2 };
    struct Enrolling;  // one enrolment on its way through the transaction

    template <class Body>
    auto read(Body body) -> decltype(body()) {
        return engine_.read(std::move(body));
    }
    template <class Body>
    auto write(Body body) -> decltype(body()) {
        return engine_.write([&]() -> decltype(body()) {
            drafts_.clear();
            if (lease_)
                if (auto held = hold_lease(); !held) return failed(held.error());
            auto done = body();
            if (!done) return done;
            // A change that can not be audited is none.
            if (auto written = append_drafts(); !written) return failed(written.error());
            return done;
        });
    }
    // Counts the tenant's revision up, writes the event's row and begins the audit's: `before` is
    // the object's public_text, empty where it is new. NotFound: no such tenant. What is of no
    // tenant has a count of its own.
    Result<Revision> record(const Key& object, EventKind kind, std::vector<std::string> networks,
                            std::string before = {});
    // What the object is after the change that was recorded last.
    template <class T>
    Result<T> audited(Result<T> object) {
        if (object) note_after(*object);
        return object;
    }
    template <class T>
    void note_after(const T& object) {
        if (!drafts_.empty()) drafts_.back().after = public_text(object);
    }
    void draft(const Event& event, std::string before);
    void draft_without_event(const model::AuditEntry& what);
    Result<void> hold_lease();
    // Whose is what is made now: an account's, or nobody's.
    std::string owner() const;
    Result<void> append_drafts();
    Result<void> append_audit(std::vector<model::AuditEntry> entries);
    Result<model::AuditAnchor> extend_chain(const std::string& tenant_id, int64_t count);
    Result<AuditHead> audit_head(const std::string& tenant_id);
    Result<std::vector<std::string>> chains_of(const Scope& scope);
    Result<AuditVerdict> verify_chain(const std::string& tenant_id);
    Result<int64_t> cut_chain(const std::string& tenant_id, const model::AuditAnchor& through);

    Result<int64_t> count(std::string_view query);
    Result<model::Tenant> find_tenant(const std::string& id);
    Result<model::Network> find_network(const Scope& scope, const std::string& id);
    Result<void> check_overlap(const std::string& tenant_id, const Prefix& prefix);
    Result<model::Token> find_token(const Scope& scope, const std::string& id);
    Result<model::Node> find_node(const Scope& scope, const std::string& id);
    Result<void> load_parts(model::Node& node);
    Result<std::vector<std::string>> networks_of(const Key& node);
    Result<model::Node> change_node(const Key& node, EventKind kind, std::string before);
    Result<void> bar_keys(const model::Node& node);

    Result<model::TokenKey> find_token_key(const Scope& scope, const std::string& id);
    Result<model::TokenKey> find_token_key_of(const std::string& tenant_id, const std::string& kid);
    Result<model::Token> admit_offline(const model::TokenClaims& claims);
    Result<void> check_token(const Joining& joining);
    Result<void> spend_token(const model::TokenClaims& token);
    Result<bool> is_barred(BarredKind kind, std::string_view hash);
    Result<void> check_keys(const Joining& joining, const std::string& tls_key_hash);
    Result<void> check_wireguard_key(const Key& node, const Joining& joining);
    Result<std::optional<Key>> node_of_tls_key(const std::string& tenant_id,
                                               const std::string& tls_key_hash);
    Result<bool> is_name_free(const std::string& tenant_id, const std::string& name);
    Result<std::string> choose_name(const Enrolment& request);
    Result<void> insert_node(const Enrolling& enrolling);
    Result<void> renew_node(const Enrolling& enrolling);
    Result<void> put_inventory(const Key& node, const model::Inventory& inventory);
    Result<void> put_membership(const Key& node, const Joining& joining);
    Result<bool> repeats(const Enrolling& enrolling);
    Result<std::string> name_of_known(const Enrolling& enrolling);
    Result<Enrolled> store_enrolled(const Enrolling& enrolling, bool is_new);
    Result<model::Node> change_certificate(const Key& node, std::string before);
    Result<Enrolled> finish(const Key& node, const Joining& joining, Revision revision);

    Result<std::optional<Address>> allocate(const model::Network& network, Family family);
    Result<std::optional<Address>> allocate_released(const model::Network& network, Family family);
    Result<std::optional<Address>> allocate_fresh(const model::Network& network, Family family);
    Result<void> release(const Key& node);

    std::unique_ptr<Engine> owned_;  // null in a view
    Engine& engine_;
    Cause cause_;
    std::optional<Lease> lease_;
    Database& db_ = engine_.db();
    const Clock& clock_ = engine_.clock();
    std::vector<model::AuditEntry> drafts_;  // of the open transaction
};

}  // namespace cvlan::store
