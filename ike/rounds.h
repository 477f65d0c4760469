// SPDX-License-Identifier: Apache-2.0
#pragma once

// charon and the kernel's states, made as wanted: observe, plan, apply, a round at a time. Belongs
// to one thread, and blocks it for as long as charon takes (vici/session.h). Ending it ends no
// tunnel.

#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "ike/plan.h"
#include "ike/wanted.h"
#include "vici/charon.h"
#include "vici/session.h"
#include "xfrm/client.h"

namespace cvlan::ike {

// As the last round found it.
struct Status {
    std::string trouble{};   // why charon could not be asked; empty: it answered
    bool is_wedged = false;  // it is there, and does not answer
    std::vector<vici::IkeSa> sas{};
    std::vector<std::string> problems{};  // what was refused
    std::vector<std::string> steps{};     // what was done; empty: all was as wanted
};

class Rounds {
public:
    Rounds(const Clock& clock, vici::SessionOptions options, xfrm::Client states);

    Status round(const Wanted& want);

    // Of a connection, begun and not waited for: how many SAs get new keys, or end.
    Result<uint32_t> rekey(const std::string& connection);
    Result<uint32_t> terminate(const std::string& connection);

private:
    Result<Seen> observe(const Wanted& want);
    Result<void> introduce(const Wanted& want);
    Result<void> drop_old_keys();
    void apply(const Plan& plan, Status& status);

    const Clock& clock_;
    vici::Session session_;
    vici::Charon charon_;
    xfrm::Client states_;
    Memory memory_;
    uint64_t connection_ = 0;   // of the session: another one may be another charon
    std::string introduced_{};  // a hash of the identities that it knows
    std::vector<std::string> keys_{};
};

// Ends the charon that listens there, as its unit does (SIGKILL): whoever watches over it starts
// another one. For one that stands still.
Result<void> end_charon(const vici::SocketAt& at);

}  // namespace cvlan::ike
