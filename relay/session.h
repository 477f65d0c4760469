// SPDX-License-Identifier: Apache-2.0
#pragma once

// One client of a relay: who it is and what it may speak for. It knows nothing of other sessions:
// that is its Owner's. Loop thread only.

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "relay/channel.h"
#include "relay/directory.h"

namespace cvlan::relay {

// Which of a session's networks it has shown a grant for.
struct Granted {
    uint32_t network = 0;
    Key key;
    WallTime expires_at{};
};

class Session final : public Channel {
public:
    class Owner {
    public:
        virtual void on_turn(Session& session) = 0;
        // False: this was the last; the session is over.
        virtual bool on_frame(Session& session, const Frame& frame) = 0;
        // Destroys it.
        virtual void on_over(Session& session) = 0;

    protected:
        ~Owner() = default;
    };
    struct Who {
        uint64_t id = 0;
        std::string node_id;
        Tenant* tenant = nullptr;
        Framing framing = Framing::Plain;
    };

    Session(EventLoop& loop, Owner& owner, Shared& shared, Who who, http::Upgraded upgraded);
    ~Session() override;

    uint64_t id() const { return who_.id; }
    const std::string& node_id() const { return who_.node_id; }
    Tenant& tenant() const { return *who_.tenant; }

    std::vector<Granted> grants;
    std::chrono::milliseconds heard_at{0};
    bool is_due = false;   // for flush()
    bool is_over = false;  // it is gone with this turn
    bool is_busy = false;  // it keeps its buffers
    uint32_t lately = 0;   // packets from it and to it, since the last sweep

    const Granted* grant_in(uint32_t network) const {
        for (const Granted& grant : grants)
            if (grant.network == network) return &grant;
        return nullptr;
    }
    // True where it was not told so of this key in the second before.
    bool may_tell_gone(const Key& key, std::chrono::milliseconds now);

private:
    struct Told;
    void on_turn() override { owner_.on_turn(*this); }
    bool on_frame(const Frame& frame) override { return owner_.on_frame(*this, frame); }
    void on_over(const char*) override { owner_.on_over(*this); }

    Owner& owner_;
    Who who_;
    std::unique_ptr<Told> told_;
};

}  // namespace cvlan::relay
