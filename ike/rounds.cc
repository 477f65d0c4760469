// SPDX-License-Identifier: Apache-2.0
#include "ike/rounds.h"

#include <signal.h>
#include <sys/socket.h>

#include <algorithm>

#include "base/bytes.h"
#include "vici/socket.h"

namespace cvlan::ike {

namespace {

std::string hash_of(const std::vector<Identity>& identities) {
    std::string all;
    for (const Identity& identity : identities) {
        all += identity.name;
        for (const std::string& pem : identity.certificates) all += pem;
        for (const std::string& pem : identity.roots) all += pem;
    }
    return hex(sha256(as_bytes(all)));
}

std::string authority_name(const std::string& root) {
    return fmt::format("{}{}", kPrefix, hex(sha256(as_bytes(root))).substr(0, 16));
}

}  // namespace

Rounds::Rounds(const Clock& clock, vici::SessionOptions options, xfrm::Client states)
    : clock_(clock),
      session_(clock, std::move(options)),
      charon_(session_),
      states_(std::move(states)) {}

Status Rounds::round(const Wanted& want) {
    Status status;
    const auto version = charon_.version();
    if (!version) {
        status.trouble = version.error().message;
        status.is_wedged = vici::health_of(version) == vici::Health::Wedged;
        return status;
    }
    if (session_.connections() != connection_) {
        connection_ = session_.connections();
        introduced_.clear();
        memory_.forget_charon();
    }
    const std::string identities = hash_of(want.identities);
    const bool is_news = identities != introduced_;
    if (auto known = is_news ? introduce(want) : Result<void>(); !known) {
        status.trouble = known.error().message;
        return status;
    }
    auto seen = observe(want);
    if (!seen) {
        status.trouble = seen.error().message;
        return status;
    }
    const Plan steps = plan(want, *seen, memory_, clock_.since_boot());
    status.steps = steps.lines();
    apply(steps, status);
    if (is_news) {
        introduced_ = identities;
        if (auto dropped = drop_old_keys(); !dropped)
            status.problems.push_back(dropped.error().message);
    }
    status.sas = std::move(seen->sas);
    return status;
}

// The CHILD_SAs first: those of an IKE_SA that is being replaced move to the new one.
Result<uint32_t> Rounds::rekey(const std::string& connection) {
    auto sas = charon_.list_sas();
    if (!sas) return failed(sas.error().while_doing("list-sas"));
    uint32_t begun = 0;
    for (const vici::IkeSa& ike : *sas) {
        if (ike.name != connection || !ike.is_established()) continue;
        for (const vici::ChildSa& child : ike.child_sas) {
            if (!child.is_installed()) continue;
            auto done = charon_.rekey({.child_id = child.unique_id});
            if (!done) return failed(done.error().while_doing("rekey " + child.name));
            begun += *done;
        }
        auto done = charon_.rekey({.ike_id = ike.unique_id});
        if (!done) return failed(done.error().while_doing("rekey " + ike.name));
        begun += *done;
    }
    if (begun == 0) return fail(Code::NotFound, "no tunnel stands to this peer");
    return begun;
}

Result<uint32_t> Rounds::terminate(const std::string& connection) {
    auto ended = charon_.terminate({.ike = connection});
    if (ended || ended.error().code != Code::NotFound) return ended;
    return fail(Code::NotFound, "no tunnel stands to this peer");
}

// The states before the SAs: what charon makes in between is not taken for a leftover.
Result<Seen> Rounds::observe(const Wanted& want) {
    Seen seen;
    auto states = states_.states();
    if (!states) return failed(states.error().while_doing("xfrm states"));
    for (xfrm::State& state : *states)
        if (want.is_ours(state.if_id)) seen.states.push_back(std::move(state));
    auto policies = states_.policies();
    if (!policies) return failed(policies.error().while_doing("xfrm policies"));
    for (xfrm::Policy& policy : *policies)
        if (want.is_ours(policy.if_id)) seen.policies.push_back(std::move(policy));
    auto connections = charon_.get_conns();
    if (!connections) return failed(connections.error().while_doing("get-conns"));
    seen.connections = std::move(*connections);
    auto sas = charon_.list_sas();
    if (!sas) return failed(sas.error().while_doing("list-sas"));
    seen.sas = std::move(*sas);
    return seen;
}

Result<void> Rounds::introduce(const Wanted& want) {
    std::vector<std::string> keys;
    for (const Identity& identity : want.identities) {
        for (const std::string& root : identity.roots)
            if (auto done = charon_.load_authority({authority_name(root), root, {}, {}}); !done)
                return failed(done.error().while_doing("load-authority"));
        // Those above its own: sent to peers, and trusted only for what is above them.
        for (size_t i = 1; i < identity.certificates.size(); ++i)
            if (auto done = charon_.load_cert(identity.certificates[i], false); !done)
                return failed(done.error().while_doing("load-cert"));
        auto key = charon_.load_key(identity.key);
        if (!key) return failed(key.error().while_doing("load-key"));
        keys.push_back(std::move(*key));
    }
    keys_ = std::move(keys);
    return {};
}

// After a renewal, when no connection shows the old certificate any more.
Result<void> Rounds::drop_old_keys() {
    auto known = charon_.get_keys();
    if (!known) return failed(known.error().while_doing("get-keys"));
    for (const std::string& id : *known) {
        if (std::find(keys_.begin(), keys_.end(), id) != keys_.end()) continue;
        if (auto done = charon_.unload_key(id); !done && done.error().code != Code::NotFound)
            return failed(done.error().while_doing("unload-key"));
    }
    return {};
}

// What is gone already is as good as taken away.
void Rounds::apply(const Plan& steps, Status& status) {
    const auto note = [&](const Error& error, std::string_view doing) {
        status.problems.push_back(error.while_doing(std::string(doing)).message);
    };
    const auto note_unless_gone = [&](const auto& done, std::string_view doing) {
        if (!done && done.error().code != Code::NotFound) note(done.error(), doing);
    };
    for (const auto& id : steps.remove)
        note_unless_gone(states_.remove_state(id), "remove " + xfrm::text(id));
    for (const vici::Connection& connection : steps.reload) {
        note_unless_gone(charon_.unload_conn(connection.name), "unload " + connection.name);
        if (auto done = charon_.load_conn(connection); !done) {
            note(done.error(), "load " + connection.name);
            memory_.told.erase(connection.name);
        }
    }
    for (const vici::Connection& connection : steps.load) {
        if (auto done = charon_.load_conn(connection); !done)
            note(done.error(), "load " + connection.name);
        else
            memory_.told[connection.name] = connection;
    }
    for (const auto& [child, ike] : steps.initiate)
        note_unless_gone(charon_.initiate(child, ike), "initiate " + ike);
    for (const auto& which : steps.terminate)
        note_unless_gone(charon_.terminate(which), "terminate");
    for (const std::string& name : steps.unload) {
        note_unless_gone(charon_.unload_conn(name), "unload " + name);
        memory_.told.erase(name);
    }
}

Result<void> end_charon(const vici::SocketAt& at) {
    auto fd = vici::connect_to(at);
    if (!fd) return failed(fd.error());
    ucred who{};
    socklen_t size = sizeof who;
    if (getsockopt(fd->get(), SOL_SOCKET, SO_PEERCRED, &who, &size) != 0)
        return failed(errno_error("SO_PEERCRED"));
    // It lives as long as our connection waits to be accepted, so the number is its own.
    if (kill(who.pid, SIGKILL) != 0) return failed(errno_error(fmt::format("kill {}", who.pid)));
    return {};
}

}  // namespace cvlan::ike
