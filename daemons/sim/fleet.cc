// SPDX-License-Identifier: Apache-2.0
#include "daemons/sim/fleet.h"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <filesystem>

#include "base/bytes.h"

namespace cvlan::sim {

using namespace std::chrono_literals;

namespace {

constexpr auto kTick = 10ms;
constexpr auto kSettles = 3s;  // with all sessions up, for the queries of the last to be held too
constexpr size_t kRoamers = 100;  // whose small connections are kept busy

double seconds_since(Instant start) { return ms_between(start, instant()) / 1000; }

}  // namespace

Fleet::Fleet(EventLoop& loop, Plan plan)
    : loop_(loop),
      plan_(std::move(plan)),
      world_{loop_, measures_, plan_.server, plan_.polls == 0} {
    world_.on_knocked = [this](Node& node) {
        --busy_;
        loop_.post([this, &node] { knock_next(node); });
    };
    world_.on_enrolled = [this](Node&, bool is_good) { enrolled(is_good); };
    world_.on_reached = [this](Node& node) { reached(node); };
    world_.on_lost = [this](Node&) { lost(); };
    world_.on_news = [this](Node& node, const News& news) { saw(node, news); };
    world_.on_reported = [this] { look_at_drill(); };
    polls_.set(plan_.polls);
    roams_.set(plan_.roams);
    renewals_.set(plan_.renewals);
    restarts_.set(plan_.restarts);
}

Result<void> Fleet::read_tokens() {
    for (const std::string& path : plan_.token_files) {
        auto token = Token::read(path);
        if (!token) return failed(token.error());
        token->prefix = plan_.prefix;
        tokens_.push_back(std::move(*token));
    }
    if (plan_.knocks > 0 && tokens_.empty())
        return fail(Code::Invalid, "a knock needs a token, which says where and whom to trust");
    return {};
}

// A node is known by its number, which is in its name: an identity may be missing in the middle.
Result<std::unordered_map<size_t, Identity>> Fleet::known_nodes() const {
    std::unordered_map<size_t, Identity> known;
    if (plan_.state_path.empty() || !std::filesystem::exists(plan_.state_path)) return known;
    auto loaded = load_identities(plan_.state_path);
    if (!loaded) return failed(loaded.error());
    for (Identity& identity : *loaded) {
        const std::string name = identity.name.value_or("");
        size_t number = 0;
        const std::string_view text =
            std::string_view(name).substr(std::min(name.size(), plan_.prefix.size() + 1));
        const auto [end, bad] = std::from_chars(text.data(), text.data() + text.size(), number);
        const bool is_ours = bad == std::errc() && end == text.data() + text.size() &&
                             name.starts_with(plan_.prefix + "-");
        if (!is_ours)
            return fail(Code::Invalid, "{}: '{}' is no name of prefix '{}' and a number",
                        plan_.state_path, printable(name), plan_.prefix);
        known.emplace(number, std::move(identity));
    }
    return known;
}

Result<void> Fleet::make_nodes() {
    auto known = known_nodes();
    if (!known) return failed(known.error());
    for (size_t number = plan_.first; number < plan_.first + plan_.count; ++number) {
        nodes_.push_back(std::make_unique<Node>(world_, number));
        if (const auto found = known->find(number); found != known->end())
            nodes_.back()->set_identity(std::move(found->second));
        else
            to_enrol_.push_back(nodes_.back().get());
    }
    if (!to_enrol_.empty() && tokens_.empty())
        return fail(Code::Invalid, "{} of {} identities are there, and no token for the others",
                    plan_.count - to_enrol_.size(), plan_.count);
    // A machine makes its keys once and its own: what a controller does is not to wait for ours.
    for (Node* node : to_enrol_)
        if (auto made = node->prepare(token_of(*node)); !made) return made;
    return {};
}

Result<void> Fleet::start(std::function<void(bool)> done) {
    done_ = std::move(done);
    if (auto read = read_tokens(); !read) return read;
    if (auto made = make_nodes(); !made) return made;
    started_ = instant();
    telling_ = loop_.every(1s, [this] { progress(); });
    end_ = loop_.after(plan_.within, [this] { finish(); });
    if (plan_.knocks == 0) loop_.post([this] { enrol_next(); });
    for (size_t i = 0; i < std::min(plan_.at_a_time, nodes_.size()); ++i) knock_next(*nodes_[i]);
    return {};
}

void Fleet::knock_next(Node& node) {
    if (is_over_) return;
    if (knocked_ < plan_.knocks) {
        ++busy_;
        return node.knock(tokens_[knocked_++ % tokens_.size()]);
    }
    if (busy_ > 0 || plan_.knocks == 0) return;
    started_ = instant();
    enrol_next();
}

void Fleet::enrol_next() {
    while (busy_ < plan_.at_a_time && !to_enrol_.empty() && !is_stopping_) {
        Node* node = to_enrol_.front();
        to_enrol_.pop_front();
        ++busy_;
        node->enrol(token_of(*node));
    }
    if (busy_ > 0) return;
    if (is_stopping_) return finish();
    enrol_s_ = seconds_since(started_);
    progress();
    if (plan_.enrol_only) return finish();
    connect_all();
}

void Fleet::enrolled(bool is_good) {
    --busy_;
    refused_ += is_good ? 0 : 1;
    // On the loop's next turn: a refusal may come from within enrol_next.
    loop_.post([this] {
        if (connecting_at_ == Instant{} && !is_over_) enrol_next();
    });
}

const std::string& Fleet::network_of(const Node& node) const {
    return node.identity()->networks.front().network_id;
}

void Fleet::connect_all() {
    connecting_at_ = instant();
    std::deque<Node*> others;
    for (const auto& node : nodes_) {
        if (!node->identity()) continue;
        ++members_[network_of(*node)];
        const bool leads = plan_.shares_maps && since_.try_emplace(network_of(*node)).second;
        (leads ? to_connect_ : others).push_back(node.get());
    }
    leaders_ = to_connect_.size();
    to_connect_.insert(to_connect_.end(), others.begin(), others.end());
    if (to_connect_.empty()) return finish();
    connect_next();
}

void Fleet::connect_next() {
    while (busy_ < plan_.at_a_time && !to_connect_.empty()) {
        if (plan_.shares_maps && leaders_ == 0 && most_reached_ < since_.size()) return;
        Node* node = to_connect_.front();
        to_connect_.pop_front();
        ++busy_;
        if (leaders_ > 0)
            --leaders_;
        else if (plan_.shares_maps)
            node->set_since(since_[network_of(*node)]);
        node->connect();
    }
}

void Fleet::reached(Node& node) {
    ++reached_;
    const bool is_first = reached_ > most_reached_;
    most_reached_ = std::max(most_reached_, reached_);
    if (plan_.shares_maps) since_[network_of(node)] = node.since();
    if (is_first && busy_ > 0) {
        --busy_;
        connect_next();
    }
    if (reached_ < nodes_.size() - refused_) return;
    progress();
    if (first_lost_at_) measures_.all_back.add(*first_lost_at_);
    first_lost_at_.reset();
    if (is_acting_) return look_at_drill();
    is_acting_ = true;
    connect_s_ = seconds_since(connecting_at_);
    act();
}

void Fleet::lost() {
    if (is_acting_ && !first_lost_at_) first_lost_at_ = instant();
    --reached_;
}

void Fleet::act() {
    acting_at_ = instant();
    ticking_ = loop_.after(kSettles, [this] {
        acting_at_ = instant();
        ticking_ = loop_.every(kTick, [this] { tick(); });
        end_ = loop_.after(plan_.lasts, [this] { finish(); });
    });
    if (plan_.drills) loop_.post([this] { start_step(Step::Roam); });
}

void Fleet::tick() {
    const double seconds = seconds_since(acting_at_);
    // By chance, so that those who renew and those who restart are not the same.
    const auto some = [&](Pace& pace, void (Node::*what)()) {
        for (size_t count = pace.due(seconds); count > 0; --count) {
            Node& node = *nodes_[random_() % nodes_.size()];
            if (node.is_reached()) (node.*what)();
        }
    };
    some(renewals_, &Node::renew);
    some(restarts_, &Node::restart);
    for (size_t count = polls_.due(seconds); count > 0; --count)
        nodes_[next_poll_++ % nodes_.size()]->poll();
    for (size_t count = roams_.due(seconds); count > 0; --count)
        roam(*nodes_[next_roam_++ % std::min(nodes_.size(), kRoamers)]);
}

// An endpoint that nobody has had, so that it is found again in the others' maps; of the prefix for
// documentation (RFC 3849).
void Fleet::roam(Node& node) {
    if (!node.identity()) return;
    const uint64_t n = ++changes_made_;
    const std::string endpoint =
        fmt::format("[2001:db8:{:x}:{:x}::{:x}:{:x}]:51820", plan_.first >> 16 & 0xffff,
                    plan_.first & 0xffff, n >> 16 & 0xffff, n & 0xffff);
    // As the controller will write it.
    const auto parsed = Endpoint::parse(endpoint);
    changes_[parsed ? parsed->text() : endpoint] = {instant(), &node};
    node.report(endpoint);
}

void Fleet::saw(const Node& node, const News& news) {
    for (const News::Peer& peer : news.peers)
        for (const std::string& endpoint : peer.endpoints)
            if (const auto made = changes_.find(endpoint);
                made != changes_.end() && made->second.by != &node)
                measures_.delta.add(made->second.made);
    look_at_drill();
}

// Each step is done by all nodes at once, and over when all of it has been seen.
void Fleet::start_step(Step step) {
    step_ = step;
    if (step == Step::Over) {
        is_drilled_ = true;
        return finish();
    }
    for (const auto& [network, members] : members_)
        if (step == Step::Roam) seen_wanted_ += members * (members - 1);
    for (const auto& node : nodes_) {
        if (step == Step::Roam) roam(*node);
        if (step == Step::Renew) node->renew();
        if (step == Step::Restart) node->restart();
    }
    loop_.post([this] { look_at_drill(); });  // a network of one has nobody to see it
}

bool Fleet::is_step_over() const {
    const size_t all = nodes_.size();
    const bool all_stand = reached_ == all;
    switch (step_) {
        case Step::Roam:
            return measures_.report.count() >= all && measures_.delta.count() >= seen_wanted_;
        case Step::Renew:
            return all_stand && measures_.renew.count() >= all && measures_.back.count() >= all;
        case Step::Restart:
            return all_stand && measures_.back.count() >= 2 * all;
        case Step::Over:
            break;
    }
    return false;
}

void Fleet::look_at_drill() {
    if (!is_step_over()) return;
    const Step next = step_ == Step::Roam    ? Step::Renew
                      : step_ == Step::Renew ? Step::Restart
                                             : Step::Over;
    step_ = Step::Over;
    loop_.post([this, next] { start_step(next); });
}

void Fleet::progress() {
    fmt::print(
        stderr,
        "cvlan-sim: {:.1f} s: {} of {} enrolled, {} refused, {} sessions, {} polls, {} deltas\n",
        seconds_since(started_), measures_.enrol.count(), nodes_.size(), refused_, reached_,
        measures_.poll.count(), measures_.delta.count());
}

// Enrolments under way are waited for: their answers carry what the controller counts as given.
void Fleet::stop() {
    const bool enrols = connecting_at_ == Instant{} && busy_ > 0;
    if (std::exchange(is_stopping_, true) || !enrols) finish();
}

void Fleet::finish() {
    if (std::exchange(is_over_, true)) return;
    if (is_acting_) act_s_ = seconds_since(acting_at_);
    ticking_.cancel();
    telling_.cancel();
    end_.cancel();
    const bool all_came =
        plan_.enrol_only ? to_enrol_.empty() && busy_ == 0 : most_reached_ == nodes_.size();
    done_(refused_ == 0 && all_came && (is_drilled_ || !plan_.drills));
}

}  // namespace cvlan::sim
