// SPDX-License-Identifier: Apache-2.0
#pragma once

// All nodes of a simulation and what they do when: knock, enrol, open their sessions, so many at a
// time; then, for the time that was asked for, poll, roam, renew and restart at the rates that were
// asked for, or all of it once (the drill). Loop thread only.

#include <chrono>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <unordered_map>
#include <vector>

#include "daemons/sim/node.h"
#include "daemons/sim/pace.h"

namespace cvlan::sim {

struct Plan {
    size_t first = 0;  // the number of the first node: names and endpoints follow it
    size_t count = 100;
    std::string prefix = "sim";            // of the nodes' names
    std::vector<std::string> token_files;  // a network each; nodes are dealt out in turn
    std::string state_path;                // empty: identities are not kept
    std::string samples_path;              // empty: no raw samples
    std::optional<Endpoint> server;
    size_t at_a_time = 64;  // knocks, enrolments, and sessions that are opened
    size_t knocks = 0;
    std::chrono::seconds lasts{60};    // from when all sessions stand
    std::chrono::seconds within{600};  // until then
    bool enrol_only = false;
    bool drills = false;
    bool shares_maps = false;                                 // one full map a network
    double polls = 0, roams = 0, renewals = 0, restarts = 0;  // a second, of all nodes
};

class Fleet {
public:
    Fleet(EventLoop& loop, Plan plan);

    // `done` runs once, with whether every node came as far as it was meant to.
    Result<void> start(std::function<void(bool)> done);
    void stop();  // when what is under way is over; asked twice: now
    std::string summary() const;
    Result<void> save() const;  // identities and samples

private:
    Result<void> read_tokens();
    Result<std::unordered_map<size_t, Identity>> known_nodes() const;
    Result<void> make_nodes();
    void finish();
    void knock_next(Node& node);
    const Token& token_of(const Node& node) const {
        return tokens_[node.number() % tokens_.size()];
    }
    void enrol_next();
    void connect_all();
    void connect_next();
    void enrolled(bool is_good);
    void reached(Node& node);
    void lost();
    void act();
    void tick();
    void roam(Node& node);
    void saw(const Node& node, const News& news);
    void progress();
    const std::string& network_of(const Node& node) const;

    enum class Step { Roam, Renew, Restart, Over };
    void start_step(Step step);
    bool is_step_over() const;
    void look_at_drill();

    struct Change {
        Instant made;
        const Node* by;
    };

    EventLoop& loop_;
    Plan plan_;
    Measures measures_;
    World world_;
    std::vector<Token> tokens_;
    std::vector<std::unique_ptr<Node>> nodes_;
    std::function<void(bool)> done_;
    std::deque<Node*> to_enrol_, to_connect_;
    size_t busy_ = 0;  // knocks, enrolments, then first connections, under way
    size_t knocked_ = 0;
    size_t refused_ = 0, reached_ = 0, most_reached_ = 0;
    size_t leaders_ = 0;  // at the head of to_connect_, when maps are shared
    std::unordered_map<std::string, std::string> since_;  // by network
    std::unordered_map<std::string, size_t> members_;     // by network
    std::unordered_map<std::string, Change> changes_;     // by endpoint
    uint64_t changes_made_ = 0;
    Pace polls_, roams_, renewals_, restarts_;
    size_t next_poll_ = 0, next_roam_ = 0;
    std::minstd_rand random_{1};
    Step step_ = Step::Over;
    size_t seen_wanted_ = 0;
    std::optional<Instant> first_lost_at_;
    Instant started_{}, connecting_at_{}, acting_at_{};
    double enrol_s_ = 0, connect_s_ = 0, act_s_ = 0;
    Timer ticking_, telling_, end_;
    bool is_acting_ = false, is_stopping_ = false, is_over_ = false;
    bool is_drilled_ = false;
};

}  // namespace cvlan::sim
