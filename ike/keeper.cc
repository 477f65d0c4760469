// SPDX-License-Identifier: Apache-2.0
#include "ike/keeper.h"

#include "base/log.h"
#include "base/loop_thread.h"

namespace cvlan::ike {

Keeper::Keeper(Parts parts) : parts_(std::move(parts)), thread_([this] { run(); }) {}

Keeper::~Keeper() {
    {
        const std::lock_guard lock(mutex_);
        is_ending_ = true;
    }
    wake_.notify_one();
    thread_.join();
}

void Keeper::set(std::shared_ptr<const Wanted> want) {
    {
        const std::lock_guard lock(mutex_);
        want_ = std::move(want);
        is_due_ = true;
    }
    wake_.notify_one();
}

void Keeper::look() {
    {
        const std::lock_guard lock(mutex_);
        is_due_ = true;
    }
    wake_.notify_one();
}

void Keeper::ask(Ask what) {
    {
        const std::lock_guard lock(mutex_);
        asked_.push_back(std::move(what));
        is_due_ = true;
    }
    wake_.notify_one();
}

std::shared_ptr<const Status> Keeper::status() const {
    const std::lock_guard lock(mutex_);
    return status_;
}

// What is wanted when a round is due; nothing at the end.
std::shared_ptr<const Wanted> Keeper::wait() {
    std::unique_lock lock(mutex_);
    wake_.wait_for(lock, parts_.every, [this] { return is_ending_ || (is_due_ && want_); });
    while (!want_ && !is_ending_) wake_.wait(lock);
    is_due_ = false;
    return is_ending_ ? nullptr : want_;
}

void Keeper::run() {
    name_this_thread("cv-ike", 0);
    while (const auto want = wait()) {
        Status status = round(*want);
        watch(status);
        const std::string trouble = status.trouble;
        tell(std::move(status));
        answer(trouble);
    }
    answer("the agent ends");
}

Status Keeper::round(const Wanted& want) {
    if (!rounds_) {
        auto states = parts_.open_states();
        if (!states) {
            Status status;
            status.trouble = states.error().message;
            return status;
        }
        rounds_ = std::make_unique<Rounds>(parts_.clock, vici::SessionOptions{.at = parts_.at},
                                           std::move(*states));
    }
    std::vector<Ask> asked;
    {
        const std::lock_guard lock(mutex_);
        asked = std::exchange(asked_, {});
    }
    for (Ask& one : asked) {
        Result<uint32_t> sas = 0U;
        if (one.what == Ask::What::Rekey) sas = rounds_->rekey(one.connection);
        if (one.what == Ask::What::Terminate) sas = rounds_->terminate(one.connection);
        done_.emplace_back(std::move(one), std::move(sas));
    }
    return rounds_->round(want);
}

void Keeper::answer(const std::string& trouble) {
    std::vector<Ask> asked;  // since then, or never seen: there were no rounds
    if (!trouble.empty()) {
        const std::lock_guard lock(mutex_);
        asked = std::exchange(asked_, {});
    }
    for (Ask& one : asked) one.done(fail(Code::Unavailable, "charon: {}", trouble));
    for (auto& [one, sas] : std::exchange(done_, {})) {
        const bool is_failed = sas && !trouble.empty();
        one.done(is_failed ? fail(Code::Unavailable, "charon: {}", trouble) : sas);
    }
}

// Its unit starts another one, which is told all again.
void Keeper::watch(const Status& status) {
    if (!status.is_wedged) return;
    const auto ended = end_charon(parts_.at);
    log::error("ike.charon_ended", {{"socket", parts_.at.path},
                                    {"reason", status.trouble},
                                    {"error", ended ? "" : ended.error().message}});
}

void Keeper::tell(Status status) {
    std::shared_ptr<const Status> before;
    const auto now = std::make_shared<const Status>(std::move(status));
    {
        const std::lock_guard lock(mutex_);
        before = std::exchange(status_, now);
    }
    const bool has_news = !before || before->trouble != now->trouble ||
                          before->problems != now->problems ||
                          before->sas.size() != now->sas.size() || !now->steps.empty();
    for (const std::string& step : now->steps) log::info("ike.step", {{"step", step}});
    if (has_news && !now->trouble.empty() && (!before || before->trouble != now->trouble))
        log::warn("ike.charon_unavailable", {{"reason", now->trouble}});
    if (!before || before->problems != now->problems)
        for (const std::string& problem : now->problems)
            log::error("ike.step_failed", {{"error", problem}});
    if (has_news && parts_.on_round) parts_.on_round();
}

}  // namespace cvlan::ike
