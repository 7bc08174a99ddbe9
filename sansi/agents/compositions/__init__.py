"""Small compositions over the agent loop, each in one file to read and to change."""

from sansi.agents.compositions.document_qa import DocumentAnswer, Finding, ask_documents
from sansi.agents.compositions.group_chat import GroupChat, Member, Said
from sansi.agents.compositions.handoff import Team, TeamMember, TeamRun
from sansi.agents.compositions.plan import PlanRun, StepDone
from sansi.agents.compositions.planner import Planner
from sansi.agents.compositions.retrieval_assistant import CitedAnswer, RetrievalAssistant
from sansi.agents.compositions.router import Expert, Routed, Router
from sansi.agents.compositions.writer import Article, Section, write_article

__all__ = [
    "Article",
    "CitedAnswer",
    "DocumentAnswer",
    "Expert",
    "Finding",
    "GroupChat",
    "Member",
    "PlanRun",
    "Planner",
    "RetrievalAssistant",
    "Routed",
    "Router",
    "Said",
    "Section",
    "StepDone",
    "Team",
    "TeamMember",
    "TeamRun",
    "ask_documents",
    "write_article",
]
