// SPDX-License-Identifier: Apache-2.0
#pragma once

// What all verbs of the store on a database are made with: bodies of read and write on the engine's
// connection, the event of a change and its entry in the audit. Part of SqlStore.

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "model/to_wire.h"
#include "store/audit.h"
#include "store/engine.h"
#include "store/jobs.h"
#include "store/types.h"

namespace cvlan::store {

// What the audit keeps of an object: its form on the wire, which holds no secret.
template <class T>
std::string public_text(const T& object) {
    return encode(model::to_wire(object));
}

class SqlBase {
public:
    // The engine's owner; its changes are the system's own.
    explicit SqlBase(std::unique_ptr<Engine> engine)
        : owned_(std::move(engine)), engine_(*owned_) {}
    // A view of it.
    SqlBase(Engine& engine, Cause cause, std::optional<Lease> lease)
        : engine_(engine), cause_(std::move(cause)), lease_(std::move(lease)) {}

protected:
    template <class Body>
    auto read(Body body) -> decltype(body()) {
        return engine_.read(std::move(body));
    }
    template <class Body>
    auto write(Body body) -> decltype(body()) {
        // What is only tried is answered as it would be, and fails so that nothing of it stays.
        std::optional<decltype(body())> tried;
        auto kept = engine_.write([&]() -> decltype(body()) {
            tried.reset();
            if (lease_)
                if (auto held = hold_lease(); !held) return failed(held.error());
            auto done = body();
            if (!done) return done;
            // A change that can not be audited is none.
            if (auto written = append_drafts(); !written) return failed(written.error());
            if (!cause_.validate_only) return done;
            if (auto good = Engine::work().db.check(); !good) return failed(good.error());
            tried = std::move(done);
            return fail(Code::Conflict, "only tried");
        });
        return tried ? std::move(*tried) : kept;
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
        if (!drafts().empty()) drafts().back().after = public_text(object);
    }
    // The audit's entries of what the running body has changed.
    static std::vector<model::AuditEntry>& drafts() { return Engine::work().drafts; }
    void draft(const Event& event, std::string before);
    void draft_without_event(const model::AuditEntry& what);
    Result<void> hold_lease();
    // Whose is what is made now: an account's, or nobody's.
    std::string owner() const;
    Result<void> append_drafts();
    Result<void> spend_key();
    Result<void> append_audit(std::vector<model::AuditEntry> entries);
    // What record() and the audit go on from. Each is one question, which can be asked ahead.
    Result<Revision> revision_of(const std::string& tenant_id);
    Result<model::AuditAnchor> end_of_chain(const std::string& tenant_id);
    Result<AuditHead> audit_head(const std::string& tenant_id);
    Result<std::vector<std::string>> chains_of(const Scope& scope);
    Result<AuditVerdict> verify_chain(const std::string& tenant_id);
    Result<int64_t> cut_chain(const std::string& tenant_id, const model::AuditAnchor& through);

    std::unique_ptr<Engine> owned_;  // null in a view
    Engine& engine_;
    Cause cause_;
    std::optional<Lease> lease_;
    BodyDatabase db_;
    const Clock& clock_ = engine_.clock();
};

}  // namespace cvlan::store
