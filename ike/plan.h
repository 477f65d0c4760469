// SPDX-License-Identifier: Apache-2.0
#pragma once

// From what charon should hold and what is seen of charon and the kernel to what is to be done: a
// pure function, but for what it has to remember, since charon does not show what it was told, nor
// since when things are as they are. An empty plan is the proof that all is as wanted.

#include <chrono>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "ike/wanted.h"
#include "vici/charon.h"
#include "xfrm/types.h"

namespace cvlan::ike {

// What is ours of charon and of the kernel's states.
struct Seen {
    std::vector<std::string> connections{};
    std::vector<vici::IkeSa> sas{};
    std::vector<xfrm::State> states{};     // with an if_id of ours
    std::vector<xfrm::Policy> policies{};  // likewise
};

// Ends with the charon that was told; but for what it is about the kernel's states.
struct Memory {
    std::map<std::string, vici::Connection> told{};
    std::map<uint32_t, BootTime> calling{};  // by IKE_SA: begun by us, and without an answer
    std::map<uint32_t, BootTime> doubled{};  // by IKE_SA: one of two, and not the one that stays
    std::map<std::string, size_t> tries{};   // by connection: places that did not answer
    struct Move {
        Endpoint to;
        BootTime at{};
    };
    std::map<std::string, Move> moves{};          // by connection: begun beside one that stands
    std::map<uint32_t, BootTime> hollow{};        // by CHILD_SA: the kernel has lost its states
    std::map<std::string, BootTime> unwatched{};  // by "connection child": or its policies
    std::map<std::string, BootTime> awaited{};    // likewise: it is to stand, and does not
    std::map<xfrm::StateId, BootTime> unknown{};

    void forget_charon() { *this = Memory{.unknown = std::move(unknown)}; }
};

struct Plan {
    std::vector<vici::Connection> reload{};  // taken away first: charon sees no difference
    std::vector<vici::Connection> load{};
    std::vector<std::pair<std::string, std::string>> initiate{};  // child, connection
    std::vector<vici::SaSelector> terminate{};
    std::vector<std::string> unload{};
    std::vector<xfrm::StateId> remove{};  // states of a charon that has ended
    std::vector<std::string> refused{};   // why SAs that stand are to go

    bool empty() const {
        return reload.empty() && load.empty() && initiate.empty() && terminate.empty() &&
               unload.empty() && remove.empty();
    }
    // One a step, as the log has them.
    std::vector<std::string> lines() const;
};

// A peer that does not answer at one address is called at its next one after so long.
inline constexpr std::chrono::seconds kAnswerLimit{6};
// A tunnel that goes by another way than the path is set up anew by that, so often at most.
inline constexpr std::chrono::seconds kMoveAgain{30};
// Rekeying, and charon between its list and the kernel's, look like leftovers for a moment.
inline constexpr std::chrono::seconds kSettled{3};

Plan plan(const Wanted& want, const Seen& seen, Memory& memory, BootTime now);

}  // namespace cvlan::ike
