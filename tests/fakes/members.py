"""A forge that knows who may write to its repositories."""


class FakeMembers:
    """`core.repositories.ports.Members`. members: names of users who may write; asked: each name, in order."""

    def __init__(self) -> None:
        self.members: set[str] = set()
        self.asked: list[str] = []

    async def why_not_member(self, repository: str, login: str, user_id: int) -> str:
        self.asked.append(login)
        return "" if login in self.members else f"{login} may not write to the repository"
